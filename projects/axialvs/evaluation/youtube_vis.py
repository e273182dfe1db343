"""Which ground truth track each detected track of a video and category is matched with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import (
    Category,
    Instance,
    Video,
    VideoAnnotations,
)
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.forked_map import forked_map, usable_cores
from axialvs.evaluation.results import ResultsError, TrackResult
from axialvs.evaluation.tube_iou import TubeError, TubeOverlaps, tube_overlaps

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


# The official evaluator's sampling points of the recall axis.
RECALL_POINTS = np.linspace(0.0, 1.0, 101)

NOTHING_COUNTS = -1.0


def precision_and_recall(
    matched: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    ranks: NDArray[np.int64],
    num_truths: NDArray[np.int64],
    max_detections: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Goes through a category's detections of all videos by falling score.

    Args:
        matched: (A, S, D) whether each of D detections is matched, for A area ranges and S IoU
            thresholds; the highest score first.
        ignored: (A, S, D) whether it counts neither as right nor as wrong.
        ranks: (D,) place of the detection among those of its video, from 0.
        num_truths: (A,) ground truth tracks that count.
        max_detections: How many detections of a video count, rising; the precision is for the
            last of them.

    Returns:
        precisions: (A, S, P) at `RECALL_POINTS`, or -1 where no ground truth track counts.
        recalls: (A, S, M) at the end, for each of `max_detections`, or -1 as above.
    """
    precisions = np.full((*matched.shape[:2], len(RECALL_POINTS)), NOTHING_COUNTS)
    recalls = np.full((*matched.shape[:2], len(max_detections)), NOTHING_COUNTS)
    for area_range in np.flatnonzero(num_truths):
        total = num_truths[area_range]
        right = matched[area_range] & ~ignored[area_range]
        for index, limit in enumerate(max_detections):
            recalls[area_range, :, index] = right[:, ranks < limit].sum(axis=1) / total
        within = ranks < max_detections[-1]
        wrong = ~(matched[area_range] | ignored[area_range])
        precisions[area_range] = _sampled_precision(right[:, within], wrong[:, within], total)
    return precisions, recalls


def _sampled_precision(
    right: NDArray[np.bool_], wrong: NDArray[np.bool_], num_truths: int
) -> NDArray[np.float64]:
    """(S, P) best precision at each of `RECALL_POINTS` or beyond; 0 where it is not reached.

    Args:
        right: (S, D) the highest score first.
        wrong: (S, D) likewise.
        num_truths: Ground truth tracks that count.
    """
    num_right = np.cumsum(right, axis=1)
    precision = num_right / (num_right + np.cumsum(wrong, axis=1) + np.spacing(1))
    best_beyond = np.zeros((len(right), right.shape[1] + 1))
    best_beyond[:, :-1] = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = num_right / num_truths
    reached = [np.searchsorted(of_threshold, RECALL_POINTS) for of_threshold in recall]
    return np.take_along_axis(best_beyond, np.array(reached), axis=1)


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


_MAX_WORKERS = 4  # each needs memory
_MASKS_OF_A_WORKER = 10_000  # a few thousand masks take as long as starting a process


@dataclass(frozen=True, slots=True)
class VideoAPResult:
    """Scores of a data set; all are fractions, or -1 where no ground truth track counts.

    Attributes:
        categories: K categories, by rising id.
        precisions: (K, A, S, P) for A `AREA_RANGES`, S `IOU_THRESHOLDS` and P `RECALL_POINTS`, with
            the highest of `MAX_DETECTIONS`.
        recalls: (K, A, S, M) for M `MAX_DETECTIONS`.
        videos: What became of the tracks of each video, by rising id.
    """

    categories: tuple[Category, ...]
    precisions: NDArray[np.float64]
    recalls: NDArray[np.float64]
    videos: tuple[VideoOutcomes, ...]

    def summary(self) -> dict[str, float]:
        """AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl over all categories.

        Categories without a ground truth track that counts are left out of the means.
        """
        return _figures(self.precisions, self.recalls)

    def per_class(self) -> dict[str, dict[str, float]]:
        """By category name the figures of `summary`, and `truths` and `tracks`.

        `truths` is the number of ground truth tracks that are no crowd, `tracks` that of detected
        ones.
        """
        table: dict[str, dict[str, float]] = {}
        for index, category in enumerate(self.categories):
            one = slice(index, index + 1)
            truths = [v.truth_categories[~v.truth_ignored[0]] for v in self.videos]
            table[category.name] = {
                **_figures(self.precisions[one], self.recalls[one]),
                'truths': sum(int((ids == category.id).sum()) for ids in truths),
                'tracks': sum(video.num_detections.get(category.id, 0) for video in self.videos),
            }
        return table

    def per_video(self) -> dict[int, dict[str, float]]:
        """By video id AP and AP50 as if it were the only video, and numbers of tracks.

        `truths` and `tracks` are as in `per_class`; `found` is how many of the former were matched
        at an IoU of 0.5 or more, `missed` how many were not.
        """
        table: dict[int, dict[str, float]] = {}
        for video in self.videos:
            alone = summarise([video], self.categories).summary()
            truths, found = int((~video.truth_ignored[0]).sum()), int(video.found.sum())
            table[video.video_id] = {
                'AP': alone['AP'],
                'AP50': alone['AP50'],
                'truths': truths,
                'found': found,
                'missed': truths - found,
                'tracks': sum(video.num_detections.values()),
            }
        return table


def evaluate_tracks(
    annotations: VideoAnnotations, results: Sequence[TrackResult], workers: int | None = None
) -> VideoAPResult:
    """Scores detected tracks.

    Args:
        annotations: The ground truth.
        results: The tracks, see `results_file`.
        workers: Processes that share the videos; each needs the memory of one video. By default
            as many as there are CPU cores, but no more than four, nor than pays.

    Raises:
        AnnotationError: The ground truth has no annotations, or a mask that is none.
        ResultsError: A track has a mask that is none.
        RuntimeError: A process died.
    """
    if annotations.instances is None:
        raise AnnotationError(
            f"{annotations.path}: field 'annotations': is missing or null, so there is nothing to "
            'compare with. The labels of official validation and test sets are not public: '
            'submit the results to the evaluation server instead.'
        )
    truths = annotations.instances_by_video()
    by_video: dict[int, list[TrackResult]] = {video.id: [] for video in annotations.videos}
    for result in results:
        by_video[result.video_id].append(result)
    if workers is None:
        num_masks = sum(len(result.segmentations) for result in results)
        workers = min(usable_cores(), _MAX_WORKERS, 1 + num_masks // _MASKS_OF_A_WORKER)
    outcomes = forked_map(
        lambda video: video_outcomes(video, truths[video.id], by_video[video.id]),
        annotations.videos,
        workers,
    )
    return summarise(outcomes, annotations.categories)


def summarise(outcomes: Iterable[VideoOutcomes], categories: Sequence[Category]) -> VideoAPResult:
    """Pools what became of the tracks of each video; the order of videos does not matter.

    Args:
        outcomes: One a video.
        categories: The ground truth's.
    """
    videos = tuple(sorted(outcomes, key=lambda video: video.video_id))
    categories = tuple(sorted(categories, key=lambda category: category.id))
    shape = len(categories), len(AREA_RANGES), len(IOU_THRESHOLDS)
    precisions = np.full((*shape, len(RECALL_POINTS)), NOTHING_COUNTS)
    recalls = np.full((*shape, len(MAX_DETECTIONS)), NOTHING_COUNTS)
    if videos:
        _fill(precisions, recalls, videos, [category.id for category in categories])
    return VideoAPResult(categories, precisions, recalls, videos)


def _fill(
    precisions: NDArray[np.float64],
    recalls: NDArray[np.float64],
    videos: Sequence[VideoOutcomes],
    categories: Sequence[int],
) -> None:
    """Computes precisions and recalls of each category, in place."""
    pooled = {
        name: np.concatenate([getattr(video, name) for video in videos], axis=-1)
        for name in ('categories', 'scores', 'ranks', 'matched', 'ignored', 'truth_ignored')
    }
    truth_categories = np.concatenate([video.truth_categories for video in videos])
    # By category, then by falling score; of equal scores the first video's first.
    order = np.lexsort((-pooled['scores'], pooled['categories']))
    borders = np.searchsorted(pooled['categories'][order], [categories, np.add(categories, 1)])
    for index, category in enumerate(categories):
        detections = order[slice(*borders[:, index])]
        precisions[index], recalls[index] = precision_and_recall(
            pooled['matched'][..., detections],
            pooled['ignored'][..., detections],
            pooled['ranks'][detections],
            (~pooled['truth_ignored'][:, truth_categories == category]).sum(axis=1),
            MAX_DETECTIONS,
        )


def _figures(precisions: NDArray[np.float64], recalls: NDArray[np.float64]) -> dict[str, float]:
    """The official twelve, of precisions (K, A, S, P) and recalls (K, A, S, M)."""
    fifty, seventy_five = (int(np.argmin(abs(IOU_THRESHOLDS - x))) for x in (0.5, 0.75))
    return {
        'AP': _mean(precisions[:, 0]),
        'AP50': _mean(precisions[:, 0, fifty]),
        'AP75': _mean(precisions[:, 0, seventy_five]),
        **{f'AP{name[0]}': _mean(precisions[:, i]) for i, name in _sizes()},
        **{f'AR{limit}': _mean(recalls[:, 0, :, i]) for i, limit in enumerate(MAX_DETECTIONS)},
        **{f'AR{name[0]}': _mean(recalls[:, i, :, -1]) for i, name in _sizes()},
    }


def _sizes() -> list[tuple[int, str]]:
    """Index and name of the area ranges but the first, which is all."""
    return list(enumerate(AREA_RANGES))[1:]


def _mean(values: NDArray[np.float64]) -> float:
    counting = values[values != NOTHING_COUNTS]
    return float(counting.mean()) if counting.size else NOTHING_COUNTS
