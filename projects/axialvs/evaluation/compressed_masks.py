"""Turns the segmentations of a track into COCO's compressed `counts`."""

from collections.abc import Sequence
from types import NoneType
from typing import Any

from pycocotools import mask as coco_mask


def compressed_tube(segmentations: Sequence[Any], height: int, width: int) -> list[str | None]:
    """The compressed run-length string of each checked segmentation, or None where it is absent.

    Args:
        segmentations: One a frame: COCO RLE with text, bytes or list counts, a list of polygons,
            or None.
        height: Of the video, in pixels.
        width: Of the video, in pixels.
    """
    tube = [mask['counts'] if type(mask) is dict else mask for mask in segmentations]
    if set(map(type, tube)) <= {str, NoneType}:
        return tube
    return [mask and _compress(mask, height, width) for mask in segmentations]


def _compress(segmentation: Any, height: int, width: int) -> str:
    if isinstance(segmentation, list):
        counts = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))['counts']
    elif isinstance(segmentation['counts'], list):
        counts = coco_mask.frPyObjects(segmentation, height, width)['counts']
    else:
        counts = segmentation['counts']
    return counts if isinstance(counts, str) else counts.decode('ascii')
