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
    shape = len(ignored), len(thresholds)
    matches = np.full((len(ious), *shape), UNMATCHED)
    # Slightly below 1, so that a perfect tube is matched in spite of rounding.
    thresholds = np.minimum(thresholds, 1 - 1e-10)
    free = np.ones((ious.shape[1], *shape), dtype=bool)
    near = ious >= thresholds.min(initial=1)
    for detection in np.flatnonzero(near.any(axis=1)).tolist():
        row = ious[detection]
        candidates = np.flatnonzero(near[detection])
        best_first = candidates[np.argsort(row[candidates], kind='stable')[::-1]].tolist()
        unmatched = np.ones(shape, dtype=bool)
        for ignoring in (False, True) if len(best_first) > 1 else (None,):
            for truth in best_first:
                found = unmatched & free[truth] & (thresholds <= row[truth])
                if ignoring is not None:  # with a choice
                    found &= (ignored[:, truth] == ignoring)[:, None]
                matches[detection][found] = truth
                unmatched &= ~found
                free[truth] &= ~found | crowd[truth]
    return matches.transpose(1, 2, 0)
