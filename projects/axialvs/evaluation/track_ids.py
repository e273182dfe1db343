"""Assign predicted tracks to annotated objects, for visualization."""

from collections.abc import Sequence
from itertools import count

import numpy as np
from scipy.optimize import linear_sum_assignment

from axialvs.evaluation.tube_iou import Tube, tube_overlaps

_MIN_IOU = 0.1  # low, to recognise the poor masks of early checkpoints


def ids_like_gt(
    tubes: Sequence[Tube], gt_tubes: Sequence[Tube], gt_ids: Sequence[int]
) -> list[int]:
    """Ids of predicted tracks: that of the overlapping object, or an unused one.

    Pairs have the greatest sum of tube IoUs, regardless of classes, and an IoU of at least 0.1.

    Args:
        tubes: D predicted tubes.
        gt_tubes: G tubes.
        gt_ids: (G,) ids of the objects.
    """
    comparable = np.ones((len(tubes), len(gt_tubes)), dtype=bool)
    ious = tube_overlaps(tubes, gt_tubes, comparable).ious
    ids: dict[int, int] = {}
    for track, gt in zip(*linear_sum_assignment(ious, maximize=True), strict=True):
        if ious[track, gt] >= _MIN_IOU:
            ids[int(track)] = gt_ids[gt]
    unused = count(max(gt_ids, default=0) + 1)
    return [ids[index] if index in ids else next(unused) for index in range(len(tubes))]
