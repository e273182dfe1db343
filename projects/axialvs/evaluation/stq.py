"""Segmentation and tracking quality: do pixels have the right class, and things one id throughout?

Weber et al., STEP: Segmenting and Tracking Every Pixel, NeurIPS 2021 (data sets and benchmarks).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.evaluation.panoptic_files import Tubes


@dataclass(slots=True)
class TrackingCounts:
    """What STQ is made of, for N classes; counts of videos add up.

    Attributes:
        association: Sum of the association qualities of ground truth tubes of things.
        num_tubes: How many these are.
        confusion: (N, N + 1) pixels of each class that are predicted to be of each class, last
            void.
    """

    association: float
    num_tubes: int
    confusion: NDArray[np.int64]

    @classmethod
    def zero(cls, num_classes: int) -> 'TrackingCounts':
        """Nothing counted yet."""
        return cls(0.0, 0, np.zeros((num_classes, num_classes + 1), dtype=np.int64))

    def add(self, other: 'TrackingCounts') -> None:
        """Adds counts in place."""
        self.association += other.association
        self.num_tubes += other.num_tubes
        self.confusion += other.confusion

    def association_quality(self) -> float:
        """AQ, the mean over ground truth tubes of things; NaN where there is none."""
        return self.association / self.num_tubes if self.num_tubes else np.nan

    def class_ious(self) -> NDArray[np.float64]:
        """(N,) IoU of each class in the pixels that are not void; NaN where a class has none.

        SQ is their mean. Predicted void is missed by the true class and is no class of its own.
        """
        right = self.confusion.diagonal()
        predicted = self.confusion[:, :-1].sum(axis=0)
        unions = self.confusion.sum(axis=1) + predicted - right
        return np.where(unions > 0, right / np.maximum(unions, 1), np.nan)


def track_tubes(
    shared: NDArray[np.int64], tubes: Tubes, isthing: NDArray[np.bool_]
) -> TrackingCounts:
    """Counts a whole video.

    A tube's association quality weighs the predicted tubes of things that it shares pixels with,
    of any class, by these pixels: the sum of shared / area * IoU. What is predicted on crowds
    of things is left out; what is predicted on void is not, as in DeepLab2.

    Args:
        shared: (G + 1, P + 1) pixels of each pair of tubes in the video; first come void's.
        tubes: The G and the P tubes.
        isthing: (N,) whether the objects of each class are told apart.
    """
    num_classes = len(isthing)
    confusion = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    predicted_classes = np.concatenate(([num_classes], tubes.predicted_classes))
    np.add.at(confusion, (tubes.truth_classes[:, None], predicted_classes), shared[1:])

    truth_things, things = isthing[tubes.truth_classes], isthing[tubes.predicted_classes]
    counting = np.concatenate(([True], ~(truth_things & tubes.crowd)))
    areas = shared[counting].sum(axis=0)[1:][things]
    truth_areas = shared.sum(axis=1)[1:]
    followed = truth_things & ~tubes.crowd & (truth_areas > 0)
    truth_areas = truth_areas[followed][:, None]
    shared = shared[1:, 1:][followed][:, things]
    ious = shared / (truth_areas + areas - shared)
    return TrackingCounts(
        float((shared / truth_areas * ious).sum()), int(followed.sum()), confusion
    )
