"""Which ground truth track each detected track of a video and category is matched with."""

import numpy as np
from numpy.typing import NDArray

UNMATCHED = -1


def match_tracks(
    ious: NDArray[np.float64],
    ignored: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Matches greedily, as the official evaluator does.

    In the order given, which is by falling score, each detection takes the ground truth track with
    the highest IoU that no detection before it took; of equal ones the last. A track that counts
    comes before one that is ignored, however high the IoU. A crowd is never used up.

    Args:
        ious: (D, G) of detections, the best score first, and ground truth tracks.
        ignored: (A, G) whether a ground truth track does not count, for each of A area ranges.
        crowd: (G,) whether it is a crowd.
        thresholds: (S,) IoU from which a match is one.

    Returns:
        (A, S, D) index of the ground truth track, or `UNMATCHED`.
    """
    num_detections, num_truths = ious.shape
    num_ranges = len(ignored)
    matches = np.full((num_ranges, len(thresholds), num_detections), UNMATCHED)
    # Slightly below 1, so that a perfect tube is matched in spite of rounding.
    thresholds = np.minimum(thresholds, 1 - 1e-10)[:, None]
    free = np.ones((num_ranges, len(thresholds), num_truths), dtype=bool)
    of_range, of_threshold = np.ogrid[:num_ranges, : len(thresholds)]
    counts_first = np.where(ignored, 0, num_truths)[:, None]
    for detection in np.flatnonzero((ious >= thresholds.min(initial=1)).any(axis=1)):
        row = ious[detection]
        candidates = free & (row >= thresholds)
        # Distinct ranks decide, and the last of equal ones ranks highest.
        ranks = np.empty(num_truths, dtype=np.int64)
        ranks[np.argsort(row, kind='stable')] = np.arange(num_truths)
        best = np.where(candidates, ranks + counts_first, UNMATCHED).argmax(axis=2)
        found = candidates.any(axis=2)
        matches[:, :, detection] = np.where(found, best, UNMATCHED)
        taken = found & ~crowd[best]
        free[of_range, of_threshold, best] &= ~taken
    return matches
