"""Average precision and recall of one category over many videos."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The official evaluator's sampling points of the recall axis.
RECALL_POINTS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True)
class TrackOutcomes:
    """What became of the D detections of one category in one video, the best score first.

    Attributes:
        scores: (D,).
        matched: (A, S, D) whether matched, for A area ranges and S IoU thresholds.
        ignored: (A, S, D) whether the detection counts neither as right nor as wrong.
        num_truths: (A,) ground truth tracks that count.
        num_found: Of the first area range's, how many are matched at the lowest threshold.
    """

    scores: NDArray[np.float64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    num_truths: NDArray[np.int64]
    num_found: int


def precision_and_recall(
    outcomes: Sequence[TrackOutcomes], max_detections: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pools a category's detections over videos, in the order given, and ranks them by score.

    Args:
        outcomes: One a video.
        max_detections: How many detections of a video count, rising; the precision is for the
            last of them.

    Returns:
        precisions: (A, S, P) at `RECALL_POINTS`, or -1 where no ground truth track counts.
        recalls: (A, S, M) at the end, for each of `max_detections`, or -1 as above.
    """
    scores = np.concatenate([video.scores for video in outcomes])
    place = np.concatenate([np.arange(len(video.scores)) for video in outcomes])
    order = np.argsort(-scores, kind='stable')
    place = place[order]
    counts = ~np.concatenate([video.ignored for video in outcomes], axis=2)[..., order]
    matched = np.concatenate([video.matched for video in outcomes], axis=2)[..., order]
    num_truths = np.sum([video.num_truths for video in outcomes], axis=0)

    precisions = np.full((*counts.shape[:2], len(RECALL_POINTS)), -1.0)
    recalls = np.full((*counts.shape[:2], len(max_detections)), -1.0)
    for area_range in np.flatnonzero(num_truths):
        total = num_truths[area_range]
        for index, limit in enumerate(max_detections):
            right = (matched & counts)[area_range][:, place < limit]
            recalls[area_range, :, index] = right.sum(axis=1) / total
        wrong = (~matched & counts)[area_range][:, place < limit]
        for threshold in range(len(right)):
            precisions[area_range, threshold] = _sampled_precision(
                right[threshold], wrong[threshold], total
            )
    return precisions, recalls


def _sampled_precision(
    right: NDArray[np.bool_], wrong: NDArray[np.bool_], num_truths: int
) -> NDArray[np.float64]:
    """The best precision at each of `RECALL_POINTS` or beyond; 0 where it is not reached."""
    num_right = np.cumsum(right)
    recall = num_right / num_truths
    precision = num_right / (num_right + np.cumsum(wrong) + np.spacing(1))
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(best_beyond, 0.0)[np.searchsorted(recall, RECALL_POINTS)]
