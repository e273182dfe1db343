"""Intersections of the segments of two panoptic segmentations, per frame."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import MAX_ID, VOID, PanopticCategory, PanopticVideo

_ID_BITS = MAX_ID.bit_length()


class Tubes(NamedTuple):
    """The G ground truth tubes and P predicted tubes of a video."""

    gt_classes: NDArray[np.int64]  # (G,) index of each tube's class, from 0
    classes: NDArray[np.int64]  # (P,)
    crowd: NDArray[np.bool_]  # (G,) whether the tube is a group of objects


def tubes_of(
    gt: PanopticVideo, predicted: Sequence[int], categories: Sequence[PanopticCategory]
) -> Tubes:
    """Build the tubes of a video, with the ground truth tubes by ascending id.

    Args:
        gt: the ground truth.
        predicted: (P,) category of each predicted tube.
        categories: categories in the order of the classes.
    """
    classes = {category.id: place for place, category in enumerate(categories)}
    ids = sorted(gt.categories)
    return Tubes(
        np.array([classes[gt.categories[i]] for i in ids], dtype=np.int64),
        np.array([classes[category_id] for category_id in predicted], dtype=np.int64),
        np.array([i in gt.crowds for i in ids], dtype=bool),
    )


class PairCounts(NamedTuple):
    """Number of pixels of each pair of ids in two maps."""

    gt_ids: NDArray[np.int64]  # (R,)
    pred_ids: NDArray[np.int64]  # (R,)
    pixels: NDArray[np.int64]  # (R,)

    def table(self, gt_ids: Sequence[int], pred_ids: Sequence[int]) -> NDArray[np.int64]:
        """Build the (G + 1, P + 1) table of intersections in pixels, with void first.

        Args:
            gt_ids: (G,) ascending ids of the ground truth tubes.
            pred_ids: (P,) ascending ids of the predicted tubes.
        """
        rows = np.searchsorted(np.array([VOID, *gt_ids]), self.gt_ids)
        columns = np.searchsorted(np.array([VOID, *pred_ids]), self.pred_ids)
        shared = np.zeros((len(gt_ids) + 1, len(pred_ids) + 1), dtype=np.int64)
        shared[rows, columns] = self.pixels
        return shared


def count_pairs(gt_map: NDArray[np.uint32], pred_map: NDArray[np.uint32]) -> PairCounts:
    """Count the pixels of each pair of ids in two maps.

    Segments are large, so pixels form runs of the same pair, and counting runs is much faster than
    sorting pixels.

    Args:
        gt_map: (H, W) ids below 2^24.
        pred_map: (H, W) ids below 2^24.
    """
    gt_map, pred_map = gt_map.ravel(), pred_map.ravel()
    changes = (gt_map[1:] != gt_map[:-1]) | (pred_map[1:] != pred_map[:-1])
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(starts, append=gt_map.size)
    keys = (gt_map[starts].astype(np.int64) << _ID_BITS) | pred_map[starts]
    pairs, owners = np.unique(keys, return_inverse=True)
    pixels = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(pixels, owners, lengths)
    return PairCounts(pairs >> _ID_BITS, pairs & MAX_ID, pixels)
