"""What becomes of a video's detected tracks when they are held against its ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations import AnnotationError, Instance, Video
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.matching import UNMATCHED, match_tracks
from axialvs.evaluation.results_file import ResultsError, TrackResult
from axialvs.evaluation.tube_iou import TubeError, TubeOverlaps, tube_overlaps

# All as in the official evaluator (youtubevos/cocoapi, ytvoseval.py).
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {  # mean pixels of a track's masks, both ends included
    'all': (0.0, 1e5**2),
    'small': (0.0, 128.0**2),
    'medium': (128.0**2, 256.0**2),
    'large': (256.0**2, 1e5**2),
}
MAX_DETECTIONS = (1, 10, 100)  # of a category in a video


@dataclass(frozen=True, slots=True)
class VideoOutcomes:
    """What became of D detected and G ground truth tracks of one video.

    Detections of a category in excess of the highest of `MAX_DETECTIONS` are not among the D.

    Attributes:
        video_id: The video.
        num_detections: Of each category that was detected, all of them.
        categories: (D,) category of each detection.
        scores: (D,) falling.
        ranks: (D,) place of the detection among those of its category, from 0.
        matched: (A, S, D) whether matched, for A `AREA_RANGES` and S `IOU_THRESHOLDS`.
        ignored: (A, S, D) whether the detection counts neither as right nor as wrong.
        truth_categories: (G,) category of each ground truth track.
        truth_ignored: (A, G) whether it does not count.
        found: (G,) whether it is matched in the first area range at the lowest threshold.
    """

    video_id: int
    num_detections: dict[int, int]
    categories: NDArray[np.int64]
    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truth_categories: NDArray[np.int64]
    truth_ignored: NDArray[np.bool_]
    found: NDArray[np.bool_]


def video_outcomes(
    video: Video, truths: Sequence[Instance], results: Sequence[TrackResult]
) -> VideoOutcomes:
    """Matches the results of a video with its ground truth, category by category.

    Args:
        video: The video.
        truths: Its ground truth tracks.
        results: Its detected tracks, checked, in the order of the file.

    Raises:
        AnnotationError, ResultsError: A mask is no mask.
    """
    num_detections: dict[int, int] = {}
    best: list[TrackResult] = []  # by falling score; of equal ones the first in the file first
    ranks: list[int] = []
    for result in sorted(results, key=lambda result: -result.score):
        rank = num_detections.get(result.category_id, 0)
        num_detections[result.category_id] = rank + 1
        if rank < MAX_DETECTIONS[-1]:
            best.append(result)
            ranks.append(rank)
    categories = np.array([result.category_id for result in best], dtype=np.int64)
    truth_categories = np.array([truth.category_id for truth in truths], dtype=np.int64)
    overlaps = _overlaps(video, truths, best, categories[:, None] == truth_categories)

    crowd = np.array([truth.iscrowd for truth in truths], dtype=bool)
    truth_ignored = crowd | _outside_ranges(_truth_sizes(truths, overlaps.truth_areas))
    # Tracks of different categories have an IoU of 0, so all are matched in one go.
    matches = match_tracks(overlaps.ious, truth_ignored, crowd, IOU_THRESHOLDS)
    matched = matches != UNMATCHED
    # What matches an ignored track, or nothing and has another size than asked for, is ignored.
    ignored = ~matched & _outside_ranges(_mean_areas(overlaps.detection_areas))[:, None]
    of_range, of_threshold, detections = np.nonzero(matched)
    ignored[of_range, of_threshold, detections] = truth_ignored[of_range, matches[matched]]
    found = np.zeros(len(truths), dtype=bool)
    found[matches[0, 0][matched[0, 0]]] = True
    return VideoOutcomes(
        video.id,
        num_detections,
        categories,
        np.array([result.score for result in best], dtype=np.float64),
        np.array(ranks, dtype=np.int64),
        matched,
        ignored,
        truth_categories,
        truth_ignored,
        found & ~truth_ignored[0],
    )


def _overlaps(
    video: Video,
    truths: Sequence[Instance],
    results: Sequence[TrackResult],
    comparable: NDArray[np.bool_],
) -> TubeOverlaps:
    size = video.height, video.width
    tubes = [
        [compressed_tube(track.segmentations, *size) for track in tracks]
        for tracks in (results, truths)
    ]
    try:
        return tube_overlaps(*tubes, comparable, size, at_least=IOU_THRESHOLDS[0])
    except TubeError as error:
        field = f"field 'segmentations[{error.frame}].counts': {error.reason}."
        if error.tube < len(results):
            raise ResultsError(f'{results[error.tube].place}, {field}') from error
        truth = truths[error.tube - len(results)]
        raise AnnotationError(f'video {video.id}, instance {truth.id}, {field}') from error


def _truth_sizes(truths: Sequence[Instance], measured: NDArray[np.int64]) -> NDArray[np.float64]:
    """(G,) mean areas: of the file's `areas` as in the official evaluator, else measured."""
    sizes = _mean_areas(measured)
    for index, truth in enumerate(truths):
        if truth.areas is not None:
            present = [area for area in truth.areas if area]
            sizes[index] = sum(present) / len(present) if present else 0.0
    return sizes


def _mean_areas(areas: NDArray[np.int64]) -> NDArray[np.float64]:
    """(tracks,) mean over the frames in which there is something to see; 0 if there is none."""
    return areas.sum(axis=1) / np.maximum((areas > 0).sum(axis=1), 1)


def _outside_ranges(sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(A, tracks) whether a track's size lies outside of each area range."""
    low, high = np.array(list(AREA_RANGES.values())).T[..., None]
    return (sizes < low) | (sizes > high)
