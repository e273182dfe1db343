"""From mask logits to masks of the file's size, their quality and their run-length codes."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from axialvs.functional.mask_finishing import encode_part
from axialvs.structures import FrameGeometry


def resize_mask_logits(logits: Tensor, geometry: FrameGeometry) -> Tensor:
    """Brings logits to the size of the original frames: upsample, cut the padding off, resize.

    Args:
        logits: (n, T, H, W) at a quarter of the padded input.
        geometry: sizes of the frames.

    Returns:
        (n, T, H, W) at the original size.
    """
    height, width = geometry.resized
    logits = F.interpolate(logits, geometry.padded, mode='bilinear', align_corners=False)[
        ..., :height, :width
    ]
    if geometry.original == geometry.resized:
        return logits
    return F.interpolate(logits, geometry.original, mode='bilinear', align_corners=False)


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
