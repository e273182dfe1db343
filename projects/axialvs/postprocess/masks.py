"""From mask logits to masks of the file's size, their quality and their run-length codes."""

import functools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from axialvs.structures import ImageShapes


def resize_mask_logits(logits: Tensor, geometry: ImageShapes) -> Tensor:
    """Brings logits to the size of the original frames: upsample, cut the padding off, resize.

    Args:
        logits: (n, T, H, W) at a quarter of the padded input.
        geometry: sizes of the frames.

    Returns:
        (n, T, H, W) at the original size.
    """
    height, width = geometry.resized
    how = dict(mode='bilinear', align_corners=geometry.align_corners)
    logits = F.interpolate(logits, geometry.padded, **how)[..., :height, :width]
    if geometry.original == geometry.resized:
        return logits
    return F.interpolate(logits, geometry.original, **how)


def mask_quality(logits: Tensor) -> Tensor:
    """Mean probability inside each predicted mask, 0 for an empty one.

    Args:
        logits: (n, H, W).

    Returns:
        (n,).
    """
    # Objects are small beside the frame: only pixels inside are worth a sigmoid.
    quality = logits.new_zeros(len(logits))
    for row, mask in enumerate(logits):
        inside = mask[mask > 0]
        if len(inside):
            quality[row] = inside.sigmoid().mean()
    return quality


def encode_masks(masks: np.ndarray) -> list[dict | None]:
    """COCO run-length codes of masks.

    Args:
        masks: (n, H, W) bool.

    Returns:
        For each mask `{'size': [H, W], 'counts': str}`, or None where it is empty.
    """
    rows, columns = masks.any(2), masks.any(1)
    encoded: list[dict | None] = []
    for mask, of_rows, of_columns in zip(masks, rows, columns, strict=True):
        if not of_rows.any():
            encoded.append(None)
            continue
        # Objects are small beside the frame: only the part that holds one is looked at again.
        (top, bottom), (left, right) = (_extent(x) for x in (of_rows, of_columns))
        encoded.append(encode_part(mask[top:bottom, left:right], top, left, mask.shape))
    return encoded


def _extent(used: np.ndarray) -> tuple[int, int]:
    """First true place, and the last one plus one."""
    return int(used.argmax()), len(used) - int(used[::-1].argmax())


class FinishedMasks(NamedTuple):
    """Masks of one frame at the original size."""

    codes: list[dict | None]  # n COCO run-length codes, None for an empty mask
    quality: Tensor  # (n,) mean probability inside the mask, 0 for an empty one


class Resampling(NamedTuple):
    """Both resizing steps along one axis: each output is a weighted sum of a few inputs."""

    matrix: Tensor  # (original, stride 4)
    taps: Tensor  # (original, k) int32, the few inputs that each output is made of
    tap_weights: Tensor  # (original, k), 0 for a tap that is not needed
    outputs_of: np.ndarray  # (stride 4, 2) first and last output that an input reaches, plus one
    inputs_of: np.ndarray  # (original, 2) first and last input that an output needs, plus one


def axis_resamplings(size: tuple[int, int], geometry: ImageShapes) -> tuple[Resampling, Resampling]:
    """Weights of `resize_mask_logits` along y and along x for maps of some (height, width)."""
    sizes = zip(size, geometry.padded, geometry.resized, geometry.original, strict=True)
    y, x = (_resampling(*axis, geometry.align_corners) for axis in sizes)
    return y, x


@functools.lru_cache(maxsize=16)
def _resampling(
    size: int, padded: int, resized: int, original: int, align_corners: bool
) -> Resampling:
    """The resizing of `size` logits, made by resizing each unit vector."""
    units = torch.eye(size).unsqueeze(1)
    how = dict(mode='linear', align_corners=align_corners)
    steps = F.interpolate(units, padded, **how)[..., :resized]
    if original != resized:
        steps = F.interpolate(steps, original, **how)
    matrix = steps.squeeze(1).T.contiguous()
    used = matrix.numpy() != 0
    inputs_of = _row_extents(used)
    num_taps = int((inputs_of[:, 1] - inputs_of[:, 0]).max())
    taps = (torch.from_numpy(inputs_of[:, :1]) + torch.arange(num_taps)).clamp(max=size - 1)
    tap_weights = matrix.gather(1, taps)
    # Beyond an output's last input there is nothing; at the border the last one must count once.
    tap_weights[torch.arange(num_taps) >= torch.from_numpy(inputs_of[:, 1:] - inputs_of[:, :1])] = 0
    return Resampling(matrix, taps.int(), tap_weights, _row_extents(used.T), inputs_of)


def _row_extents(used: np.ndarray) -> np.ndarray:
    """First and last true place in each row, the last plus one; (0, 0) for an empty row."""
    first = used.argmax(1)
    last = used.shape[1] - used[:, ::-1].argmax(1)
    return np.stack((first, last), 1) * used.any(1, keepdims=True)


def _reach(inside: np.ndarray, axis: Resampling) -> tuple[slice, slice]:
    """Inputs needed and outputs reached along an axis by the inputs that are inside of a mask."""
    reached = axis.outputs_of[inside]
    reached = reached[reached[:, 1] > 0]  # cut off with the padding
    if not len(reached):
        return slice(0, 0), slice(0, 0)
    outputs = slice(int(reached[:, 0].min()), int(reached[:, 1].max()))
    needed = axis.inputs_of[outputs]
    return slice(int(needed[:, 0].min()), int(needed[:, 1].max())), outputs


def finish_masks(logits: Tensor, geometry: ImageShapes) -> FinishedMasks:
    """Brings the masks of a frame to its original size and encodes them.

    Args:
        logits: (n, H, W) at a quarter of the padded input.
        geometry: sizes of the frame.
    """
    logits = logits.float().cpu()
    y, x = axis_resamplings(logits.shape[1:], geometry)
    inside = (logits > 0).numpy()
    rows_inside, columns_inside = inside.any(2), inside.any(1)
    codes: list[dict | None] = []
    quality = torch.zeros(len(logits))
    for i, mask_logits in enumerate(logits):
        rows, columns = _reach(rows_inside[i], y), _reach(columns_inside[i], x)
        part = _resample_part(mask_logits, y, rows, x, columns)
        positive = part.numpy() > 0
        top, left = rows[1].start, columns[1].start
        codes.append(encode_part(positive.T, top, left, geometry.original))
        if codes[-1] is not None:
            # What a probability is above one half: pixels outside add nothing, not even rounding.
            excess = part.clamp_(min=0).sigmoid_().sub_(0.5).sum()
            quality[i] = 0.5 + excess / np.count_nonzero(positive)
    return FinishedMasks(codes, quality)


def _resample_part(
    logits: Tensor,
    y: Resampling,
    rows: tuple[slice, slice],
    x: Resampling,
    columns: tuple[slice, slice],
) -> Tensor:
    """Resizes a part of a mask (H, W); `rows` and `columns` are inputs and outputs as of `_reach`.

    The result (output columns, output rows) lies column by column, as run-length codes count.
    Along x, where it becomes large, each column is a weighted sum of two or three columns only.
    """
    narrow = logits[rows[0], columns[0]].T @ y.matrix[rows[1], rows[0]].T
    if not narrow.numel():
        return narrow
    taps = (x.taps[columns[1]] - columns[0].start).clamp(0, len(narrow) - 1)
    return F.embedding_bag(taps, narrow, mode='sum', per_sample_weights=x.tap_weights[columns[1]])


def encode_part(part: np.ndarray, top: int, left: int, size: tuple[int, int]) -> dict | None:
    """Run-length code of a mask that is empty outside of a part of the frame.

    Args:
        part: (H, W) bool, the part; quickest if it lies column by column.
        top, left: where it lies in the frame.
        size: (height, width) of the frame.

    Returns:
        `{'size': [height, width], 'counts': str}`, or None if the mask is empty.
    """
    if not part.any():
        return None
    if part.shape == size:
        code = coco_mask.encode(np.asfortranarray(part).view(np.uint8))
    else:
        counts = _count_runs(part, top, left, size)
        code = coco_mask.frPyObjects({'size': list(size), 'counts': counts}, *size)
    return {'size': list(size), 'counts': code['counts'].decode('ascii')}


def _count_runs(part: np.ndarray, top: int, left: int, size: tuple[int, int]) -> np.ndarray:
    """Lengths of runs down the columns of the frame; arguments as in `encode_part`."""
    height, width = size
    columns = part.T
    if len(part) < height:
        # An empty row below the part ends the runs at its border.
        columns = np.pad(columns, ((0, 0), (0, 1)))
    flat = columns.reshape(-1)
    changes = np.flatnonzero(np.diff(flat, prepend=False, append=False))
    column, row = np.divmod(changes, columns.shape[1])
    changes = (left + column) * height + top + row
    counts = np.diff(changes, prepend=0)
    rest = height * width - changes[-1]
    return np.append(counts, rest) if rest else counts
