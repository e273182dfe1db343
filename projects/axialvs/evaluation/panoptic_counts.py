"""Pixels that the segments of two panoptic segmentations share, frame by frame."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import MAX_ID, VOID

_ID_BITS = MAX_ID.bit_length()


class Tubes(NamedTuple):
    """The tubes of a video: G of the ground truth and P predicted ones."""

    gt_classes: NDArray[np.int64]  # (G,) index of each tube's class, from 0
    classes: NDArray[np.int64]  # (P,)
    crowd: NDArray[np.bool_]  # (G,) whether the tube is a group of objects


def frame_overlaps(
    gt_map: NDArray[np.uint32],
    pred_map: NDArray[np.uint32],
    gt_ids: Sequence[int],
    pred_ids: Sequence[int],
) -> NDArray[np.int64]:
    """Count the pixels that each pair of tubes shares in a frame.

    Args:
        gt_map: (H, W) ids, 0 for void.
        pred_map: (H, W) ids, 0 for void.
        gt_ids: (G,) ascending ids of the tubes of the ground truth.
        pred_ids: (P,) ascending ids of the predicted tubes.

    Returns:
        (G + 1, P + 1) numbers of pixels; the first row and column are void.
    """
    *pairs, pixels = count_pairs(gt_map, pred_map)
    ids = [np.array([VOID, *side]) for side in (gt_ids, pred_ids)]
    shared = np.zeros([len(side) for side in ids], dtype=np.int64)
    shared[tuple(np.searchsorted(*x) for x in zip(ids, pairs, strict=True))] = pixels
    return shared


def count_pairs(
    gt_map: NDArray[np.uint32], pred_map: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count the pairs of ids that two maps have in the same pixels.

    Segments are large, so pixels come in runs of the same pair: counting runs takes a fraction of
    the time of sorting pixels.

    Args:
        gt_map: (H, W) ids below 2^24.
        pred_map: (H, W) ids below 2^24.

    Returns:
        For each of R pairs the id in `gt_map`, the id in `pred_map` and the number of pixels.
    """
    gt_map, pred_map = gt_map.ravel(), pred_map.ravel()
    changes = (gt_map[1:] != gt_map[:-1]) | (pred_map[1:] != pred_map[:-1])
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(starts, append=gt_map.size)
    keys = (gt_map[starts].astype(np.int64) << _ID_BITS) | pred_map[starts]
    pairs, owners = np.unique(keys, return_inverse=True)
    pixels = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(pixels, owners, lengths)
    return pairs >> _ID_BITS, pairs & MAX_ID, pixels
