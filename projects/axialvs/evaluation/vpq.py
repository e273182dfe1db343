"""Video panoptic quality: panoptic quality of tubes in windows of a few frames.

Kim et al., Video Panoptic Segmentation, CVPR 2020, with the windows that are used for VIPSeg.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.evaluation.panoptic_files import Tubes

WINDOWS = (1, 2, 4, 6)  # frames
_MIN_IOU = 0.5  # above it, a tube has at most one match
_MAX_UNCOUNTED = 0.5  # a prediction with a larger part on void or crowd is not held to be wrong


class SlidingSums:
    """Sums over the last n frames, for several n.

    Args:
        windows: The n.
    """

    def __init__(self, windows: Sequence[int]) -> None:
        self._sums: dict[int, NDArray[np.int64]] = {}
        self._windows = windows
        self._recent: deque[NDArray[np.int64]] = deque(maxlen=max(windows))
        self._count = 0

    def add(self, frame: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Takes the next frame's numbers; gives each n that has been reached with its sum."""
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
class PanopticCounts:
    """Matched and unmatched tubes of N classes; counts of windows and videos add up.

    Attributes:
        ious: (N,) sums of the IoUs of matched tubes.
        matched: (N,) pairs of tubes.
        wrong: (N,) predicted tubes without a match.
        missed: (N,) ground truth tubes without a match.
    """

    ious: NDArray[np.float64]
    matched: NDArray[np.int64]
    wrong: NDArray[np.int64]
    missed: NDArray[np.int64]

    @classmethod
    def zero(cls, num_classes: int) -> 'PanopticCounts':
        """Nothing counted yet."""
        return cls(np.zeros(num_classes), *np.zeros((3, num_classes), dtype=np.int64))

    def add(self, other: 'PanopticCounts') -> None:
        """Adds counts in place."""
        self.ious += other.ious
        self.matched += other.matched
        self.wrong += other.wrong
        self.missed += other.missed

    def qualities(self) -> NDArray[np.float64]:
        """(N,) panoptic quality of each class; NaN where there is no tube that counts."""
        weights = self.matched + self.wrong / 2 + self.missed / 2
        return np.where(weights > 0, self.ious / np.maximum(weights, 0.5), np.nan)


def match_tubes(shared: NDArray[np.int64], tubes: Tubes, num_classes: int) -> PanopticCounts:
    """Matches the tubes of one window.

    Tubes of the same class match where their IoU is above one half. Void pixels are left out of
    the union. A predicted tube that lies by more than half on void or on crowds of its class, and
    a crowd, count neither way.

    Args:
        shared: (G + 1, P + 1) pixels of each pair of tubes in the window; first come void's.
        tubes: The G and the P tubes; those without a pixel in the window do not count.
        num_classes: Number of classes.
    """
    truth_areas, areas = shared.sum(axis=1)[1:], shared.sum(axis=0)[1:]
    on_void, shared = shared[0, 1:], shared[1:, 1:]
    same_class = tubes.truth_classes[:, None] == tubes.predicted_classes
    unions = truth_areas[:, None] + areas - on_void - shared
    ious = shared / np.maximum(unions, 1)
    rows, columns = np.nonzero((ious > _MIN_IOU) & same_class & ~tubes.crowd[:, None])

    missed = (truth_areas > 0) & ~tubes.crowd
    missed[rows] = False
    on_crowd = (shared * (same_class & tubes.crowd[:, None])).sum(axis=0)
    wrong = (areas > 0) & (on_void + on_crowd <= _MAX_UNCOUNTED * areas)
    wrong[columns] = False

    matched_classes = tubes.truth_classes[rows]
    return PanopticCounts(
        np.bincount(matched_classes, ious[rows, columns], minlength=num_classes),
        np.bincount(matched_classes, minlength=num_classes),
        np.bincount(tubes.predicted_classes[wrong], minlength=num_classes),
        np.bincount(tubes.truth_classes[missed], minlength=num_classes),
    )
