"""Video panoptic quality (VPQ): panoptic quality of tubes in sliding windows of a few frames.

Kim et al., Video Panoptic Segmentation, CVPR 2020, with the window sizes of VIPSeg.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.evaluation.panoptic_counts import Tubes

WINDOWS = (1, 2, 4, 6)  # frames
_MIN_IOU = 0.5  # above it, a tube has at most one match
# Predictions with more than this fraction on void or crowds are not false positives.
_MAX_IGNORED = 0.5


class SlidingSums:
    """Sums over the last n frames, for several n.

    Args:
        windows: window sizes n, in frames.
    """

    def __init__(self, windows: Sequence[int]) -> None:
        self._sums: dict[int, NDArray[np.int64]] = {}
        self._windows = windows
        self._recent: deque[NDArray[np.int64]] = deque(maxlen=max(windows))
        self._count = 0

    def add(self, frame: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Add the counts of a frame; yield the size and the sum of each complete window."""
        reached = []
        self._count += 1
        for window in self._windows:
            total = self._sums.get(window, 0) + frame
            if self._count > window:
                total -= self._recent[-window]
            self._sums[window] = total
            if self._count >= window:
                reached.append((window, total))
        self._recent.append(frame)
        yield from reached


@dataclass(slots=True)
class VPQCounts:
    """Counts of matched and unmatched tubes of N classes, summed over windows and videos.

    Attributes:
        ious: (N,) sums of the IoUs of matched tubes.
        tp: (N,) numbers of matched pairs of tubes.
        fp: (N,) numbers of unmatched predicted tubes.
        fn: (N,) numbers of unmatched ground truth tubes.
    """

    ious: NDArray[np.float64]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]

    @classmethod
    def zero(cls, num_classes: int) -> 'VPQCounts':
        """Create zero counts."""
        return cls(np.zeros(num_classes), *np.zeros((3, num_classes), dtype=np.int64))

    def add(self, other: 'VPQCounts') -> None:
        """Add counts in place."""
        self.ious += other.ious
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn

    def qualities(self) -> NDArray[np.float64]:
        """Compute the (N,) panoptic quality of each class; NaN without evaluated tubes."""
        weights = self.tp + self.fp / 2 + self.fn / 2
        return np.where(weights > 0, self.ious / np.maximum(weights, 0.5), np.nan)


def vpq_counts(shared: NDArray[np.int64], tubes: Tubes, num_classes: int) -> VPQCounts:
    """Match the tubes of one window.

    Tubes of the same class match if their IoU exceeds 0.5. Void pixels are excluded from the union.
    Predicted tubes with more than half of their pixels on void or on crowds of their class are not
    false positives, and crowds are not false negatives.

    Args:
        shared: (G + 1, P + 1) intersections in the window, in pixels, with void first.
        tubes: the G ground truth and P predicted tubes; those without pixels in the window are
            ignored.
        num_classes: number of classes.
    """
    gt_areas, areas = shared.sum(axis=1)[1:], shared.sum(axis=0)[1:]
    on_void, shared = shared[0, 1:], shared[1:, 1:]
    same_class = tubes.gt_classes[:, None] == tubes.classes
    unions = gt_areas[:, None] + areas - on_void - shared
    ious = shared / np.maximum(unions, 1)
    rows, columns = np.nonzero((ious > _MIN_IOU) & same_class & ~tubes.crowd[:, None])

    fn = (gt_areas > 0) & ~tubes.crowd
    fn[rows] = False
    on_crowd = (shared * (same_class & tubes.crowd[:, None])).sum(axis=0)
    fp = (areas > 0) & (on_void + on_crowd <= _MAX_IGNORED * areas)
    fp[columns] = False

    matched_classes = tubes.gt_classes[rows]
    return VPQCounts(
        np.bincount(matched_classes, ious[rows, columns], minlength=num_classes),
        np.bincount(matched_classes, minlength=num_classes),
        np.bincount(tubes.classes[fp], minlength=num_classes),
        np.bincount(tubes.gt_classes[fn], minlength=num_classes),
    )
