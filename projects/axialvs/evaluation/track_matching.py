"""Match the tracks of a video with its ground truth, as in the YouTube-VIS evaluation.

Thresholds, area ranges and tie-breaking follow ytvoseval.py of youtubevos/cocoapi.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.youtube_vis import Instance, Video
from axialvs.evaluation.results import TrackResult, read_gt_tubes, read_result_tubes
from axialvs.evaluation.tube_iou import tube_overlaps

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {  # mean mask area of a track in pixels, both ends inclusive
    'all': (0.0, 1e5**2),
    'small': (0.0, 128.0**2),
    'medium': (128.0**2, 256.0**2),
    'large': (256.0**2, 1e5**2),
}
MAX_DETECTIONS = (1, 10, 100)  # per category and video
UNMATCHED = -1


@dataclass(frozen=True, slots=True)
class VideoEval:
    """Matches of D detected and G ground truth tracks of one video.

    D excludes the detections of a category beyond the last of `MAX_DETECTIONS`.

    Attributes:
        video_id: id of the video.
        num_detections: number of all detections, by category.
        categories: (D,) category of each detection.
        scores: (D,) scores in descending order.
        ranks: (D,) rank of the detection within its category, from 0.
        matched: (A, S, D) whether it is matched, for A `AREA_RANGES` and S `IOU_THRESHOLDS`.
        ignored: (A, S, D) whether it is neither a true nor a false positive.
        gt_categories: (G,) category of each ground truth track.
        gt_ignored: (A, G) whether the ground truth track is ignored.
        gt_matched: (G,) whether it is matched in the first area range at the lowest threshold.
    """

    video_id: int
    num_detections: dict[int, int]
    categories: NDArray[np.int64]
    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    gt_categories: NDArray[np.int64]
    gt_ignored: NDArray[np.bool_]
    gt_matched: NDArray[np.bool_]


def evaluate_video(
    video: Video, gts: Sequence[Instance], results: Sequence[TrackResult]
) -> VideoEval:
    """Match the results of a video with its ground truth, by category.

    Args:
        video: the video.
        gts: its ground truth tracks.
        results: its validated detected tracks, in file order.

    Raises:
        AnnotationError: if a ground truth segmentation is invalid.
        ResultsError: if the segmentation of a result is invalid.
    """
    num_detections: dict[int, int] = {}
    best: list[TrackResult] = []  # by descending score; equal scores in file order
    ranks: list[int] = []
    for result in sorted(results, key=lambda result: -result.score):
        rank = num_detections.get(result.category_id, 0)
        num_detections[result.category_id] = rank + 1
        if rank < MAX_DETECTIONS[-1]:
            best.append(result)
            ranks.append(rank)
    categories = np.array([result.category_id for result in best], dtype=np.int64)
    gt_categories = np.array([gt.category_id for gt in gts], dtype=np.int64)
    overlaps = tube_overlaps(
        read_result_tubes(video, best),
        read_gt_tubes(video, gts),
        categories[:, None] == gt_categories,
        at_least=IOU_THRESHOLDS[0],
    )

    crowd = np.array([gt.iscrowd for gt in gts], dtype=bool)
    gt_ignored = crowd | _outside_ranges(_gt_sizes(gts, overlaps.gt_areas))
    # Tracks of different categories have an IoU of 0, so all categories are matched together.
    matches = match_tracks(overlaps.ious, gt_ignored, crowd, IOU_THRESHOLDS)
    matched = matches != UNMATCHED
    # Ignored: matched with an ignored track, or unmatched and outside the area range.
    ignored = ~matched & _outside_ranges(_mean_areas(overlaps.areas))[:, None]
    of_range, of_threshold, detections = np.nonzero(matched)
    ignored[of_range, of_threshold, detections] = gt_ignored[of_range, matches[matched]]
    gt_matched = np.zeros(len(gts), dtype=bool)
    gt_matched[matches[0, 0][matched[0, 0]]] = True
    return VideoEval(
        video.id,
        num_detections,
        categories,
        np.array([result.score for result in best], dtype=np.float64),
        np.array(ranks, dtype=np.int64),
        matched,
        ignored,
        gt_categories,
        gt_ignored,
        gt_matched & ~gt_ignored[0],
    )


def match_tracks(
    ious: NDArray[np.float64],
    ignored: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Match greedily, as the official evaluator does.

    By descending score, each detection is matched with the unmatched ground truth track of highest
    IoU; ties go to the last one. Any track that is not ignored takes precedence over ignored ones,
    regardless of IoU. Crowds can be matched any number of times.

    Args:
        ious: (D, G) IoUs of detections, by descending score, and ground truth tracks.
        ignored: (A, G) whether a ground truth track is ignored, for each of A area ranges.
        crowd: (G,) whether it is a crowd.
        thresholds: (S,) minimum IoUs of a match.

    Returns:
        (A, S, D) index of the ground truth track, or `UNMATCHED`.
    """
    shape = len(ignored), len(thresholds)
    matches = np.full((len(ious), *shape), UNMATCHED)
    # Slightly below 1, so that a perfect tube matches despite rounding errors.
    thresholds = np.minimum(thresholds, 1 - 1e-10)
    free = np.ones((ious.shape[1], *shape), dtype=bool)
    near = ious >= thresholds.min(initial=1)
    for detection in np.flatnonzero(near.any(axis=1)).tolist():
        row = ious[detection]
        candidates = np.flatnonzero(near[detection])
        best_first = candidates[np.argsort(row[candidates], kind='stable')[::-1]].tolist()
        unmatched = np.ones(shape, dtype=bool)
        for ignoring in (False, True) if len(best_first) > 1 else (None,):
            for gt in best_first:
                chosen = unmatched & free[gt] & (thresholds <= row[gt])
                if ignoring is not None:  # with a choice
                    chosen &= (ignored[:, gt] == ignoring)[:, None]
                matches[detection][chosen] = gt
                unmatched &= ~chosen
                free[gt] &= ~chosen | crowd[gt]
    return matches.transpose(1, 2, 0)


def _gt_sizes(gts: Sequence[Instance], areas: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute (G,) mean areas, from the file's `areas` as the official evaluator if available."""
    sizes = _mean_areas(areas)
    for index, gt in enumerate(gts):
        if gt.areas is not None:
            present = [area for area in gt.areas if area]
            sizes[index] = sum(present) / len(present) if present else 0.0
    return sizes


def _mean_areas(areas: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute (tracks,) mean areas over the frames in which a track is visible; 0 if in none."""
    return areas.sum(axis=1) / np.maximum((areas > 0).sum(axis=1), 1)


def _outside_ranges(sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (A, tracks): whether the size of a track is outside each area range."""
    low, high = np.array(list(AREA_RANGES.values())).T[..., None]
    return (sizes < low) | (sizes > high)
