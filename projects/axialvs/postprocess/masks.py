"""Mask postprocessing: from mask logits to scores and RLEs at the original frame size."""

import functools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from axialvs.structures import ImageShapes
from axialvs.utils.rle import RLE, encode_crop


def resize_mask_logits(logits: Tensor, shapes: ImageShapes) -> Tensor:
    """Resize logits to the original frame size: upsample, crop the padding, resize.

    Args:
        logits: (n, T, H, W) at stride 4 of the padded input.
        shapes: shapes of the frames.

    Returns:
        (n, T, H, W) at the original size.
    """
    height, width = shapes.img_shape
    resize = functools.partial(F.interpolate, mode='bilinear', align_corners=shapes.align_corners)
    logits = resize(logits, shapes.batch_input_shape)[..., :height, :width]
    if shapes.ori_shape == shapes.img_shape:
        return logits
    return resize(logits, shapes.ori_shape)


class PostprocessedMasks(NamedTuple):
    """Masks of one frame at the original size."""

    rles: list[RLE | None]  # n COCO RLEs, None for an empty mask
    scores: Tensor  # (n,) mean probability inside the mask, 0 if it is empty


class Resampling(NamedTuple):
    """Both resizing steps along one axis: each output is a weighted sum of a few inputs."""

    matrix: Tensor  # (original, stride 4)
    taps: Tensor  # (original, k) int32, indices of the inputs of each output
    tap_weights: Tensor  # (original, k), 0 for unused taps
    outputs_of: np.ndarray  # (stride 4, 2) start and stop of the outputs that an input affects
    inputs_of: np.ndarray  # (original, 2) start and stop of the inputs of an output


def axis_resamplings(size: tuple[int, int], shapes: ImageShapes) -> tuple[Resampling, Resampling]:
    """Return the weights of `resize_mask_logits` along y and x for maps of a (height, width)."""
    sizes = zip(size, shapes.batch_input_shape, shapes.img_shape, shapes.ori_shape, strict=True)
    y, x = (_resampling(*axis, shapes.align_corners) for axis in sizes)
    return y, x


@functools.lru_cache(maxsize=16)
def _resampling(
    size: int, padded: int, resized: int, original: int, align_corners: bool
) -> Resampling:
    """Build the resampling of `size` logits by resizing each unit vector."""
    units = torch.eye(size).unsqueeze(1)
    resize = functools.partial(F.interpolate, mode='linear', align_corners=align_corners)
    steps = resize(units, padded)[..., :resized]
    if original != resized:
        steps = resize(steps, original)
    matrix = steps.squeeze(1).T.contiguous()
    used = matrix.numpy() != 0
    inputs_of = _row_extents(used)
    num_taps = int((inputs_of[:, 1] - inputs_of[:, 0]).max())
    taps = (torch.from_numpy(inputs_of[:, :1]) + torch.arange(num_taps)).clamp(max=size - 1)
    tap_weights = matrix.gather(1, taps)
    # Zero the taps after an output's last input; they are clamped to the last input at the border.
    tap_weights[torch.arange(num_taps) >= torch.from_numpy(inputs_of[:, 1:] - inputs_of[:, :1])] = 0
    return Resampling(matrix, taps.int(), tap_weights, _row_extents(used.T), inputs_of)


def _row_extents(used: np.ndarray) -> np.ndarray:
    """Return start and stop of the true values in each row; (0, 0) for an empty row."""
    first = used.argmax(1)
    last = used.shape[1] - used[:, ::-1].argmax(1)
    return np.stack((first, last), 1) * used.any(1, keepdims=True)


def _reach(inside: np.ndarray, axis: Resampling) -> tuple[slice, slice]:
    """Return the ranges of inputs and outputs along an axis that a mask (H or W,) affects."""
    reached = axis.outputs_of[inside]
    reached = reached[reached[:, 1] > 0]  # inputs in the padding affect no output
    if not len(reached):
        return slice(0, 0), slice(0, 0)
    outputs = slice(int(reached[:, 0].min()), int(reached[:, 1].max()))
    needed = axis.inputs_of[outputs]
    return slice(int(needed[:, 0].min()), int(needed[:, 1].max())), outputs


def postprocess_masks(logits: Tensor, shapes: ImageShapes) -> PostprocessedMasks:
    """Resize the masks of a frame to its original size, score and encode them.

    Args:
        logits: (n, H, W) at stride 4 of the padded input.
        shapes: shapes of the frame.
    """
    logits = logits.float().cpu()
    _, height, width = logits.shape
    y, x = axis_resamplings((height, width), shapes)
    inside = (logits > 0).numpy()
    rows_inside, columns_inside = np.any(inside, axis=2), np.any(inside, axis=1)
    rles: list[RLE | None] = []
    scores = torch.zeros(len(logits))
    for i, mask_logits in enumerate(logits):
        rows, columns = _reach(rows_inside[i], y), _reach(columns_inside[i], x)
        crop = _resample_crop(mask_logits, y, rows, x, columns)
        positive = crop.numpy() > 0
        top, left = rows[1].start, columns[1].start
        rles.append(encode_crop(positive.T, top, left, shapes.ori_shape))
        if rles[-1] is not None:
            # Probability minus 0.5, so that pixels outside the mask contribute exactly 0.
            excess = crop.clamp_(min=0).sigmoid_().sub_(0.5).sum()
            scores[i] = 0.5 + excess / np.count_nonzero(positive)
    return PostprocessedMasks(rles, scores)


def _resample_crop(
    logits: Tensor,
    y: Resampling,
    rows: tuple[slice, slice],
    x: Resampling,
    columns: tuple[slice, slice],
) -> Tensor:
    """Resize a crop of a mask (H, W); `rows` and `columns` are (inputs, outputs) of `_reach`.

    Returns (output columns, output rows), column-major as RLE counts. Along x, where the result
    is large, each column is a weighted sum of two or three input columns only.
    """
    narrow = logits[rows[0], columns[0]].T @ y.matrix[rows[1], rows[0]].T
    if not narrow.numel():
        return narrow
    taps = (x.taps[columns[1]] - columns[0].start).clamp(0, len(narrow) - 1)
    return F.embedding_bag(taps, narrow, mode='sum', per_sample_weights=x.tap_weights[columns[1]])
