"""What becomes of a video's detected tracks when they are held against its ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations import AnnotationError, Instance, Video
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.matching import UNMATCHED, match_tracks
from axialvs.evaluation.precision_recall import TrackOutcomes
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
    """The outcomes of one video.

    Attributes:
        video_id: The video.
        by_category: Outcomes of the categories that occur among its detections or ground truth.
        num_detections: Of each category, as given; more than the highest of `MAX_DETECTIONS` may
            be there and do not count.
    """

    video_id: int
    by_category: dict[int, TrackOutcomes]
    num_detections: dict[int, int]


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
    for result in sorted(results, key=lambda result: -result.score):
        number = num_detections.get(result.category_id, 0)
        num_detections[result.category_id] = number + 1
        if number < MAX_DETECTIONS[-1]:
            best.append(result)
    categories = [np.array([x.category_id for x in tracks], int) for tracks in (best, truths)]
    overlaps = _overlaps(video, truths, best, categories[0][:, None] == categories[1])

    scores = np.array([result.score for result in best], dtype=float)
    crowd = np.array([truth.iscrowd for truth in truths], dtype=bool)
    ignored_truths = crowd | _outside_ranges(_truth_sizes(truths, overlaps.truth_areas))
    outside = _outside_ranges(_mean_areas(overlaps.detection_areas))
    by_category = {}
    for category in sorted(set(categories[0].tolist()) | set(categories[1].tolist())):
        detections, of_truths = (np.flatnonzero(ids == category) for ids in categories)
        ious = overlaps.ious[np.ix_(detections, of_truths)]
        by_category[category] = _outcomes(
            scores[detections],
            ious,
            ignored_truths[:, of_truths],
            crowd[of_truths],
            outside[:, detections],
        )
    return VideoOutcomes(video.id, by_category, num_detections)


def _outcomes(
    scores: NDArray[np.float64],
    ious: NDArray[np.float64],
    ignored_truths: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    outside: NDArray[np.bool_],
) -> TrackOutcomes:
    matches = match_tracks(ious, ignored_truths, crowd, IOU_THRESHOLDS)
    matched = matches != UNMATCHED
    # What matches an ignored track, or nothing and has another size than asked for, is ignored.
    ignored = np.repeat(outside[:, None], len(IOU_THRESHOLDS), axis=1)
    for index, of_range in enumerate(ignored_truths):
        hit = matched[index]
        ignored[index][hit] = of_range[matches[index][hit]]
    num_found = int((matched & ~ignored)[0, 0].sum())
    return TrackOutcomes(scores, matched, ignored, (~ignored_truths).sum(axis=1), num_found)


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
