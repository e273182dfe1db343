"""Finishes masks where they are: only the part of a frame that a mask can reach is computed.

The same result as `resize_mask_logits`, a threshold, `mask_quality` and `encode_masks`, to the
rounding of the last bit. Both resizing steps are linear and work along one axis at a time, so they
are two matrices, of which an object's rows and columns are enough.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from axialvs.structures import FrameGeometry


class FinishedMasks(NamedTuple):
    """Masks of one frame at the original size."""

    codes: list[dict | None]  # n COCO run-length codes, None for an empty mask
    quality: Tensor  # (n,) mean probability inside the mask, 0 for an empty one


class _Resampling(NamedTuple):
    """Both resizing steps along one axis."""

    matrix: Tensor  # (original, stride 4)
    outputs_of: np.ndarray  # (stride 4, 2) first and last output that an input reaches, plus one
    inputs_of: np.ndarray  # (original, 2) first and last input that an output needs, plus one


@functools.lru_cache(maxsize=16)
def _resampling(size: int, padded: int, resized: int, original: int) -> _Resampling:
    """The resizing of `size` logits, made by resizing each unit vector."""
    units = torch.eye(size).unsqueeze(1)
    steps = F.interpolate(units, padded, mode='linear', align_corners=False)[..., :resized]
    if original != resized:
        steps = F.interpolate(steps, original, mode='linear', align_corners=False)
    matrix = steps.squeeze(1).T.contiguous()
    return _Resampling(matrix, _extent(matrix.T.numpy() != 0), _extent(matrix.numpy() != 0))


def _extent(used: np.ndarray) -> np.ndarray:
    """First and last true place in each row, the last plus one; (0, 0) for an empty row."""
    first = used.argmax(1)
    last = used.shape[1] - used[:, ::-1].argmax(1)
    return np.stack((first, last), 1) * used.any(1, keepdims=True)


def _reach(inside: np.ndarray, axis: _Resampling) -> tuple[slice, slice]:
    """Inputs needed and outputs reached along an axis by the inputs that are inside of a mask."""
    reached = axis.outputs_of[inside]
    reached = reached[reached[:, 1] > 0]  # cut off with the padding
    if not len(reached):
        return slice(0, 0), slice(0, 0)
    outputs = slice(int(reached[:, 0].min()), int(reached[:, 1].max()))
    needed = axis.inputs_of[outputs]
    return slice(int(needed[:, 0].min()), int(needed[:, 1].max())), outputs


def finish_masks(logits: Tensor, geometry: FrameGeometry) -> FinishedMasks:
    """Brings the masks of a frame to its original size and encodes them.

    Args:
        logits: (n, H, W) at a quarter of the padded input.
        geometry: sizes of the frame.
    """
    logits = logits.float().cpu()
    y, x = (_resampling(logits.shape[i + 1], *(sizes[i] for sizes in geometry)) for i in range(2))
    inside = (logits > 0).numpy()
    rows_inside, columns_inside = inside.any(2), inside.any(1)
    codes: list[dict | None] = []
    quality = torch.zeros(len(logits))
    for i, mask_logits in enumerate(logits):
        rows, out_rows = _reach(rows_inside[i], y)
        columns, out_columns = _reach(columns_inside[i], x)
        part = mask_logits[rows, columns] @ x.matrix[out_columns, columns].T
        part = y.matrix[out_rows, rows] @ part
        positive = part > 0
        codes.append(
            encode_part(positive.numpy(), out_rows.start, out_columns.start, geometry.original)
        )
        if codes[-1] is not None:
            quality[i] = part[positive].sigmoid().mean()
    return FinishedMasks(codes, quality)


def encode_part(part: np.ndarray, top: int, left: int, size: tuple[int, int]) -> dict | None:
    """Run-length code of a mask that is empty outside of a part of the frame.

    Args:
        part: (H, W) bool, the part.
        top, left: where it lies in the frame.
        size: (height, width) of the frame.

    Returns:
        `{'size': [height, width], 'counts': str}`, or None if the mask is empty.
    """
    height, width = size
    columns = np.zeros((part.shape[1], part.shape[0] + 2), dtype=np.int8)
    columns[:, 1:-1] = part.T
    column, row = np.nonzero(np.diff(columns, axis=1))
    if not len(row):
        return None
    # Starts and ends of runs in turns, counted down the columns of the whole frame.
    changes = (left + column) * height + top + row
    # A run to the bottom of one column and one from the top of the next are the same run.
    meets = np.flatnonzero(changes[1:-1:2] == changes[2::2])
    changes = np.delete(changes, np.concatenate((2 * meets + 1, 2 * meets + 2)))
    counts = np.diff(changes, prepend=0).tolist()
    if rest := height * width - int(changes[-1]):
        counts.append(rest)
    code = coco_mask.frPyObjects({'size': [height, width], 'counts': counts}, height, width)
    return {'size': [height, width], 'counts': code['counts'].decode('ascii')}
