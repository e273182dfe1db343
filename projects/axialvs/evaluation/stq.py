"""Segmentation and tracking quality (STQ).

Weber et al., STEP: Segmenting and Tracking Every Pixel, NeurIPS 2021 (datasets and benchmarks).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.evaluation.panoptic_counts import Tubes


@dataclass(slots=True)
class STQCounts:
    """Sums over videos, for N classes.

    Attributes:
        association: sum of the association qualities of ground truth thing tubes.
        num_tubes: number of these tubes.
        confusion: (N, N + 1) pixels by class and predicted class; the last column is void.
    """

    association: float
    num_tubes: int
    confusion: NDArray[np.int64]

    @classmethod
    def zero(cls, num_classes: int) -> 'STQCounts':
        """Create zero counts."""
        return cls(0.0, 0, np.zeros((num_classes, num_classes + 1), dtype=np.int64))

    def add(self, other: 'STQCounts') -> None:
        """Add counts in place."""
        self.association += other.association
        self.num_tubes += other.num_tubes
        self.confusion += other.confusion

    def association_quality(self) -> float:
        """Compute AQ, the mean over ground truth thing tubes; NaN if there are none."""
        return self.association / self.num_tubes if self.num_tubes else np.nan

    def class_ious(self) -> NDArray[np.float64]:
        """Compute the (N,) IoUs of classes, ignoring void pixels; NaN for classes without pixels.

        SQ is their mean. Predicted void is a false negative of the true class.
        """
        right = self.confusion.diagonal()
        predicted = self.confusion[:, :-1].sum(axis=0)
        unions = self.confusion.sum(axis=1) + predicted - right
        return np.where(unions > 0, right / np.maximum(unions, 1), np.nan)


def stq_counts(shared: NDArray[np.int64], tubes: Tubes, isthing: NDArray[np.bool_]) -> STQCounts:
    """Compute the counts of a whole video.

    The association quality of a tube is the sum of intersection / area * IoU over the predicted
    thing tubes of all classes. Predictions on thing crowds are ignored, but not those on void, as
    in DeepLab2.

    Args:
        shared: (G + 1, P + 1) intersections in the video, in pixels, with void first.
        tubes: the G ground truth and P predicted tubes.
        isthing: (N,) whether each class is a thing.
    """
    num_classes = len(isthing)
    confusion = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    pred_classes = np.concatenate(([num_classes], tubes.classes))
    np.add.at(confusion, (tubes.gt_classes[:, None], pred_classes), shared[1:])

    gt_things, things = isthing[tubes.gt_classes], isthing[tubes.classes]
    counting = np.concatenate(([True], ~(gt_things & tubes.crowd)))
    areas = shared[counting].sum(axis=0)[1:][things]
    gt_areas = shared.sum(axis=1)[1:]
    followed = gt_things & ~tubes.crowd & (gt_areas > 0)
    gt_areas = gt_areas[followed][:, None]
    shared = shared[1:, 1:][followed][:, things]
    ious = shared / (gt_areas + areas - shared)
    return STQCounts(float((shared / gt_areas * ious).sum()), int(followed.sum()), confusion)
