"""Masks of segments that do not overlap, stored as one map of ids."""

from typing import Any

import numpy as np
from mmdet.structures.bbox import get_box_type
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray
from scipy.ndimage import find_objects


class SegmentMasks(BitmapMasks):
    """Masks that do not overlap, stored as one map.

    mmdet's transforms treat it as its base class, but resize, flip, crop and pad one map instead of
    n masks: 30 segments of a 720x1280 frame take 2 MB instead of 28 MB.

    Args:
        segments: (H, W) uint16, the number of each pixel's segment; 0 is void.
        numbers: (n,) the number of each mask.
    """

    def __init__(self, segments: NDArray[np.uint16], numbers: NDArray[np.integer]) -> None:
        self.segments = segments
        self.numbers = numbers
        self.height, self.width = segments.shape

    @property
    def masks(self) -> NDArray[np.uint8]:
        """All masks, (n, H, W)."""
        return self.at_stride(1)

    def at_stride(self, stride: int) -> NDArray[np.uint8]:
        """Return every n-th row and column of all masks, starting with the first."""
        segments = self.segments[::stride, ::stride]
        return (segments == self.numbers[:, None, None].astype(segments.dtype)).view(np.uint8)

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.numbers)

    def __getitem__(self, index: Any) -> 'SegmentMasks':
        """Return a selection of the masks."""
        return SegmentMasks(self.segments, self.numbers[index].reshape(-1))

    def rescale(self, scale: Any, interpolation: str = 'nearest') -> 'SegmentMasks':
        """Resize and keep the aspect ratio; always by nearest neighbor."""
        return self._apply('rescale', scale)

    def resize(self, out_shape: Any, interpolation: str = 'nearest') -> 'SegmentMasks':
        """Resize, always by nearest neighbor."""
        return self._apply('resize', out_shape)

    def flip(self, flip_direction: str = 'horizontal') -> 'SegmentMasks':
        """Mirror."""
        return self._apply('flip', flip_direction)

    def pad(self, out_shape: Any, pad_val: int = 0) -> 'SegmentMasks':
        """Pad with void on the right and below."""
        return self._apply('pad', out_shape)

    def crop(self, bbox: NDArray) -> 'SegmentMasks':
        """Cut out x1, y1, x2, y2."""
        return self._apply('crop', bbox)

    def _apply(self, method: str, *args: Any) -> 'SegmentMasks':
        plane = BitmapMasks(self.segments[None], self.height, self.width)
        return SegmentMasks(getattr(plane, method)(*args).masks[0], self.numbers)

    @property
    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each mask, (n,)."""
        largest = int(self.numbers.max(initial=0))
        return np.bincount(self.segments.reshape(-1), minlength=largest + 1)[self.numbers]

    def get_bboxes(self, dst_type: str = 'hbox') -> Any:
        """Return the boxes of the masks; all zeros for one without a pixel."""
        found = find_objects(self.segments)
        boxes = np.zeros((len(self), 4), dtype=np.float32)
        for box, number in zip(boxes, self.numbers.tolist(), strict=True):
            place = found[number - 1] if number <= len(found) else None
            if place is not None:
                rows, columns = place
                box[:] = columns.start, rows.start, columns.stop, rows.stop
        return get_box_type(dst_type)[1](boxes)


def number_segments(ids: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct ids in ascending order, and the index of each pixel's id (H, W).

    Equivalent to `numpy.unique` with its inverse, but on runs of equal ids along the rows, which
    are hundreds of times fewer than pixels.
    """
    flat = ids.reshape(-1)
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    distinct, places = np.unique(flat[starts], return_inverse=True)
    lengths = np.diff(starts, append=flat.size)
    return distinct, np.repeat(places, lengths).reshape(ids.shape)
