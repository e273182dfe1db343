"""IoU of tubes, the masks of an object over a video, computed on RLEs without decoding."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rlemasklib import RLEMask

from axialvs.utils.rle import mask_areas

# The mask of an object in each of L frames, None if it is absent; see `read_tube`.
Tube = Sequence[RLEMask | None]

_MAX_RLE_PIXELS = 2**32 - 1  # rlemasklib counts in 32 bits
_MAX_PAIR_FRAMES = 1_000_000  # limits the memory of `_largest_intersections`


class TubeOverlaps(NamedTuple):
    """Overlaps of D detected and G ground truth tubes of a video of L frames."""

    ious: NDArray[np.float64]  # (D, G) sum of intersections over sum of unions; 0 if not compared
    areas: NDArray[np.int64]  # (D, L) pixels, 0 if absent
    gt_areas: NDArray[np.int64]  # (G, L)


def tube_overlaps(
    detections: Sequence[Tube],
    gts: Sequence[Tube],
    comparable: NDArray[np.bool_],
    at_least: float = 0.0,
) -> TubeOverlaps:
    """Compute the IoUs and areas of the tubes of a video.

    The intersection of two tubes in a frame is at most the smaller area. Pairs whose IoU is below
    `at_least` by this bound are skipped, which saves most of the work and does not affect IoUs of
    at least `at_least`.

    Args:
        detections: D detected tubes.
        gts: G ground truth tubes.
        comparable: (D, G) whether to compare a pair.
        at_least: smallest IoU of interest.
    """
    tubes = [*detections, *gts]
    length = len(tubes[0]) if tubes else 0
    areas = np.array([mask_areas(tube) for tube in tubes], np.int64).reshape(len(tubes), length)
    totals = areas.sum(axis=1)

    pairs = np.argwhere(comparable) + np.array([0, len(detections)])
    bounds = _largest_intersections(pairs, areas)
    sums = totals[pairs].sum(axis=1)
    chosen = (bounds > 0) & (_iou(bounds, sums) >= at_least)
    pairs, sums = pairs[chosen], sums[chosen]
    shared = np.zeros(len(pairs), dtype=np.int64)
    shape = next((mask.shape for tube in tubes for mask in tube if mask is not None), (1, 1))
    step = max(1, _MAX_RLE_PIXELS // (shape[0] * shape[1]))
    for start in range(0, length, step):
        # Concatenate the frames to a single mask.
        strips = {
            index: _concatenate(tubes[index][start : start + step], shape)
            for index in np.unique(pairs).tolist()
        }
        shared += mask_areas([strips[first] & strips[second] for first, second in pairs.tolist()])

    ious = np.zeros((len(detections), len(gts)))
    ious[pairs[:, 0], pairs[:, 1] - len(detections)] = _iou(shared, sums)
    return TubeOverlaps(ious, areas[: len(detections)], areas[len(detections) :])


def _iou(shared: NDArray[np.int64], sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute IoUs from intersections and sums of areas; monotonic in `shared`."""
    return shared / np.maximum(sums - shared, 1)


def _largest_intersections(pairs: NDArray[np.int64], areas: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compute an upper bound of intersections: the smaller areas, summed over frames."""
    bounds = np.zeros(len(pairs), dtype=np.int64)
    step = max(1, _MAX_PAIR_FRAMES // max(1, areas.shape[1]))
    for start in range(0, len(pairs), step):
        first, second = pairs[start : start + step].T
        bounds[start : start + step] = np.minimum(areas[first], areas[second]).sum(axis=1)
    return bounds


def _concatenate(masks: Sequence[RLEMask | None], shape: tuple[int, int]) -> RLEMask:
    empty = RLEMask.zeros(shape)
    return RLEMask.hconcat([empty if mask is None else mask for mask in masks])


def frame_ious(
    masks: Sequence[RLEMask | None], others: Sequence[RLEMask | None]
) -> NDArray[np.float64]:
    """Compute (n, m) IoUs of masks of one frame; 0 if one is absent or both are empty."""
    shared = np.zeros((len(masks), len(others)))
    for row, mask in enumerate(masks):
        for column, other in enumerate(others):
            if mask is not None and other is not None:
                shared[row, column] = (mask & other).area()
    return _iou(shared, mask_areas(masks)[:, None] + mask_areas(others))
