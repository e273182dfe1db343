"""Which predicted track shows which annotated object, for pictures."""

from collections.abc import Sequence
from itertools import count

import numpy as np
from scipy.optimize import linear_sum_assignment

from axialvs.evaluation.tube_iou import Tube, tube_overlaps

# Low: a picture of an early checkpoint is to say which object a poor mask belongs to.
_SAME_OBJECT = 0.1


def ids_like_truth(
    predictions: Sequence[Tube],
    truths: Sequence[Tube],
    truth_ids: Sequence[int],
    size: tuple[int, int],
) -> list[int]:
    """Ids of predicted tracks: the id of the object that it overlaps, or one that is not taken.

    Pairs are formed so that the sum of their tube IoUs is greatest, whatever the classes; those
    below 0.1 are none.

    Args:
        predictions: D tubes.
        truths: G tubes.
        truth_ids: (G,) ids of the objects.
        size: (height, width) of the video.
    """
    comparable = np.ones((len(predictions), len(truths)), dtype=bool)
    ious = tube_overlaps(predictions, truths, comparable, size).ious
    ids: dict[int, int] = {}
    for prediction, truth in zip(*linear_sum_assignment(ious, maximize=True), strict=True):
        if ious[prediction, truth] >= _SAME_OBJECT:
            ids[int(prediction)] = truth_ids[truth]
    free = count(max(truth_ids, default=0) + 1)
    return [ids[index] if index in ids else next(free) for index in range(len(predictions))]
