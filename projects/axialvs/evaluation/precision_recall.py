"""Average precision and recall of one category over many videos."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# The official evaluator's sampling points of the recall axis.
RECALL_POINTS = np.linspace(0.0, 1.0, 101)

NOTHING_COUNTS = -1.0


def precision_and_recall(
    matched: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    ranks: NDArray[np.int64],
    num_truths: NDArray[np.int64],
    max_detections: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Goes through a category's detections of all videos by falling score.

    Args:
        matched: (A, S, D) whether each of D detections is matched, for A area ranges and S IoU
            thresholds; the highest score first.
        ignored: (A, S, D) whether it counts neither as right nor as wrong.
        ranks: (D,) place of the detection among those of its video, from 0.
        num_truths: (A,) ground truth tracks that count.
        max_detections: How many detections of a video count, rising; the precision is for the
            last of them.

    Returns:
        precisions: (A, S, P) at `RECALL_POINTS`, or -1 where no ground truth track counts.
        recalls: (A, S, M) at the end, for each of `max_detections`, or -1 as above.
    """
    precisions = np.full((*matched.shape[:2], len(RECALL_POINTS)), NOTHING_COUNTS)
    recalls = np.full((*matched.shape[:2], len(max_detections)), NOTHING_COUNTS)
    for area_range in np.flatnonzero(num_truths):
        total = num_truths[area_range]
        right = matched[area_range] & ~ignored[area_range]
        for index, limit in enumerate(max_detections):
            recalls[area_range, :, index] = right[:, ranks < limit].sum(axis=1) / total
        within = ranks < max_detections[-1]
        wrong = ~(matched[area_range] | ignored[area_range])
        precisions[area_range] = _sampled_precision(right[:, within], wrong[:, within], total)
    return precisions, recalls


def _sampled_precision(
    right: NDArray[np.bool_], wrong: NDArray[np.bool_], num_truths: int
) -> NDArray[np.float64]:
    """(S, P) best precision at each of `RECALL_POINTS` or beyond; 0 where it is not reached.

    Args:
        right: (S, D) the highest score first.
        wrong: (S, D) likewise.
        num_truths: Ground truth tracks that count.
    """
    num_right = np.cumsum(right, axis=1)
    precision = num_right / (num_right + np.cumsum(wrong, axis=1) + np.spacing(1))
    best_beyond = np.zeros((len(right), right.shape[1] + 1))
    best_beyond[:, :-1] = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = num_right / num_truths
    reached = [np.searchsorted(of_threshold, RECALL_POINTS) for of_threshold in recall]
    return np.take_along_axis(best_beyond, np.array(reached), axis=1)
