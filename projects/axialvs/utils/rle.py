"""COCO run-length encoding (RLE), shared by datasets, post-processing and evaluation.

Masks are encoded and combined by rlemasklib without decoding to pixels. Polygons are rasterized by
pycocotools, as in the official metrics.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import rlemasklib
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from rlemasklib import RLEMask

from axialvs.utils.errors import AxialVSError

RLE = dict[str, Any]  # {'size': [height, width], 'counts': str}
MAX_PIXELS = 2**30  # pixels per frame, the limit of OpenCV; larger sizes are from corrupt files

# Characters 'P' to 'o' continue a run length, '0' to 'O' terminate it.
_is_well_formed = re.compile('[0-o]*[0-O]').fullmatch
# Numbers beyond 31 bits wrap around in rlemasklib. The pattern is slow, and seldom needed: it
# requires six continuing characters, which are 1 in the table.
_exceeds_31_bits = re.compile('[P-o]{6}[^01O]').search
_CONTINUES = bytes(ord('P') <= code <= ord('o') for code in range(256))


class RLEError(AxialVSError):
    """Raised for a segmentation that does not encode a mask of its frame.

    Attributes:
        reason: description of the error.
        position: index of the segmentation in its sequence.
    """

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def check_frame_size(height: int, width: int) -> None:
    """Reject implausible frame sizes before memory is allocated.

    Raises:
        RLEError: if the frame has more than `MAX_PIXELS` pixels.
    """
    if height * width > MAX_PIXELS:
        raise RLEError(
            f'a frame of {height} x {width} pixels exceeds the limit of {MAX_PIXELS} pixels'
        )


def read_mask(segmentation: RLE | list[list[float]], height: int, width: int) -> RLEMask:
    """Parse and check one segmentation.

    Args:
        segmentation: RLE of the size of the frame, with str, bytes or list `counts`, or polygons.
        height: height of the frame, in pixels.
        width: width of the frame, in pixels.

    Raises:
        RLEError: if it does not encode a mask of this size.
    """
    check_frame_size(height, width)
    return _parse(segmentation, (height, width))


def read_tube(
    segmentations: Sequence[RLE | list[list[float]] | None], height: int, width: int
) -> list[RLEMask | None]:
    """Parse and check the segmentations of an object, one per frame or None.

    Raises:
        RLEError: if one of them does not encode a mask of this size; `position` is its frame.
    """
    check_frame_size(height, width)
    size = height, width
    masks: list[RLEMask | None] = []
    for frame, segmentation in enumerate(segmentations):
        try:
            masks.append(None if segmentation is None else _parse(segmentation, size))
        except RLEError as error:
            raise RLEError(error.reason, frame) from None
    return masks


def _parse(segmentation: RLE | list[list[float]], size: tuple[int, int]) -> RLEMask:
    if isinstance(segmentation, list):
        return RLEMask.from_dict(coco_mask.merge(coco_mask.frPyObjects(segmentation, *size)))
    counts = segmentation['counts']
    if isinstance(counts, bytes):
        counts = counts.decode('ascii', 'replace')
    num_pixels = size[0] * size[1]
    try:
        if isinstance(counts, str):
            if not _is_well_formed(counts):
                raise RLEError(
                    'the compressed counts are empty, truncated or contain invalid characters'
                )
            if bytes([1] * 6) in counts.encode().translate(_CONTINUES) and _exceeds_31_bits(counts):
                raise RLEError('a run of the compressed counts exceeds 31 bits')
            return RLEMask.from_dict({'size': size, 'counts': counts})
        if not all(type(run) is int and 0 <= run <= num_pixels for run in counts):
            raise RLEError('the counts are not run lengths')
        return RLEMask.from_dict({'size': size, 'ucounts': counts})
    except RLEError:
        raise
    except ValueError:
        raise RLEError(f'the runs do not cover the {num_pixels} pixels of the frame') from None


def mask_areas(masks: Sequence[RLEMask | None]) -> NDArray[np.int64]:
    """Return the area of each mask in pixels, 0 for None."""
    return np.array([0 if mask is None else mask.area() for mask in masks], dtype=np.int64)


def compress(segmentation: RLE | list[list[float]], height: int, width: int) -> RLE:
    """Convert a segmentation to an RLE with str `counts`; arguments as in `read_mask`."""
    if isinstance(segmentation, dict) and isinstance(segmentation['counts'], str):
        return segmentation
    return as_rle(read_mask(segmentation, height, width))


def as_rle(mask: RLEMask) -> RLE:
    """Convert a mask to an RLE with JSON types."""
    encoded = mask.to_dict()
    return {'size': [int(x) for x in encoded['size']], 'counts': encoded['counts'].decode('ascii')}


def encode_mask(mask: NDArray[np.bool_]) -> RLE:
    """Encode a possibly empty mask (H, W)."""
    encoded = rlemasklib.encode(mask)
    return {'size': [int(x) for x in mask.shape], 'counts': encoded['counts'].decode('ascii')}


def encode_masks(masks: NDArray[np.bool_]) -> list[RLE | None]:
    """Encode masks (n, H, W), with None for empty ones."""
    return [
        encode_mask(mask) if not_empty else None
        for mask, not_empty in zip(masks, np.any(masks, axis=(1, 2)), strict=True)
    ]


def encode_crop(crop: NDArray[np.bool_], top: int, left: int, size: tuple[int, int]) -> RLE | None:
    """Encode a mask that is empty outside a crop of the frame.

    Args:
        crop: (H, W) bool mask; fastest if column-major.
        top: first row of the crop in the frame.
        left: first column of the crop in the frame.
        size: (height, width) of the frame.

    Returns:
        The RLE, or None if the mask is empty.
    """
    if not crop.any():
        return None
    bottom, right = size[0] - top - crop.shape[0], size[1] - left - crop.shape[1]
    return as_rle(RLEMask.from_array(crop).pad(top, bottom, left, right))


def decode_mask(rle: RLE) -> NDArray[np.bool_]:
    """Decode an RLE to a mask (H, W)."""
    return rlemasklib.decode(rle).astype(bool)


def unite(rles: Sequence[RLE]) -> RLE:
    """Compute the union of masks of the same size."""
    return as_rle(RLEMask.union([read_mask(rle, *rle['size']) for rle in rles]))


def measure(rle: RLE) -> tuple[int, list[float]]:
    """Compute area and bounding box [x, y, width, height] of a mask, in pixels."""
    mask = read_mask(rle, *rle['size'])
    return mask.area(), [float(number) for number in mask.bbox()]
