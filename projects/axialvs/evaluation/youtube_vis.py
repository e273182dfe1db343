"""Average precision and recall of tracks: the official YouTube-VIS evaluation.

As in COCO's: match the tracks of each video (`evaluate_video`), accumulate over videos
(`accumulate`), summarise. Yang et al., Video Instance Segmentation, ICCV 2019; thresholds, area
ranges and tie rules are those of youtubevos/cocoapi, ytvoseval.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.youtube_vis import (
    Category,
    Instance,
    Video,
    VideoAnnotations,
)
from axialvs.evaluation.results import TrackResult, read_gt_tubes, read_result_tubes
from axialvs.evaluation.tube_iou import tube_overlaps
from axialvs.utils.parallel import fork_map, usable_cores

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
AREA_RANGES = {  # mean pixels of a track's masks, both ends included
    'all': (0.0, 1e5**2),
    'small': (0.0, 128.0**2),
    'medium': (128.0**2, 256.0**2),
    'large': (256.0**2, 1e5**2),
}
MAX_DETECTIONS = (1, 10, 100)  # per category and video
NO_GT = -1.0  # value of a metric without ground truth
UNMATCHED = -1

_MAX_WORKERS = 4  # each needs memory
_MASKS_PER_WORKER = 10_000  # fewer are faster in one process


@dataclass(frozen=True, slots=True)
class VideoEval:
    """Matches of D detected and G ground truth tracks of one video.

    Detections of a category beyond the last of `MAX_DETECTIONS` are not among the D.

    Attributes:
        video_id: the video.
        num_detections: all detections of each category that was detected.
        categories: (D,) category of each detection.
        scores: (D,) descending.
        ranks: (D,) rank of the detection within its category, from 0.
        matched: (A, S, D) whether it is matched, for A `AREA_RANGES` and S `IOU_THRESHOLDS`.
        ignored: (A, S, D) whether it is neither a true nor a false positive.
        gt_categories: (G,) category of each ground truth track.
        gt_ignored: (A, G) whether it does not count.
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


@dataclass(frozen=True, slots=True)
class VideoAPResult:
    """Metrics of a data set; all are fractions, or -1 without ground truth.

    Attributes:
        categories: K categories, by ascending id.
        precisions: (K, A, S, P) for A `AREA_RANGES`, S `IOU_THRESHOLDS` and P `RECALL_POINTS`, with
            the last of `MAX_DETECTIONS`.
        recalls: (K, A, S, M) for M `MAX_DETECTIONS`.
        videos: matches of each video, by ascending id.
    """

    categories: tuple[Category, ...]
    precisions: NDArray[np.float64]
    recalls: NDArray[np.float64]
    videos: tuple[VideoEval, ...]

    def summary(self) -> dict[str, float]:
        """AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl over all categories.

        Categories without ground truth are left out of the means.
        """
        return _metrics(self.precisions, self.recalls)

    def per_class(self) -> dict[str, dict[str, float]]:
        """The metrics of `summary`, `gts` and `tracks` of each category, by its name.

        `gts` is the number of ground truth tracks without crowds, `tracks` that of detections.
        Categories that share a name are told apart by their ids, as `name (id)`.
        """
        names = [category.name for category in self.categories]
        table: dict[str, dict[str, float]] = {}
        for index, category in enumerate(self.categories):
            shared = names.count(category.name) > 1
            one = slice(index, index + 1)
            gts = [video.gt_categories[~video.gt_ignored[0]] for video in self.videos]
            table[f'{category.name} ({category.id})' if shared else category.name] = {
                **_metrics(self.precisions[one], self.recalls[one]),
                'gts': sum(int((ids == category.id).sum()) for ids in gts),
                'tracks': sum(video.num_detections.get(category.id, 0) for video in self.videos),
            }
        return table

    def per_video(self) -> dict[int, dict[str, float]]:
        """AP and AP50 of each video alone and numbers of tracks, by the video's id.

        `gts` and `tracks` are as in `per_class`; `matched` of the former have a detection with an
        IoU of 0.5 or more, `missed` have none.
        """
        table: dict[int, dict[str, float]] = {}
        for video in self.videos:
            alone = accumulate([video], self.categories).summary()
            num_gts, num_matched = int((~video.gt_ignored[0]).sum()), int(video.gt_matched.sum())
            table[video.video_id] = {
                'AP': alone['AP'],
                'AP50': alone['AP50'],
                'gts': num_gts,
                'matched': num_matched,
                'missed': num_gts - num_matched,
                'tracks': sum(video.num_detections.values()),
            }
        return table


def evaluate_tracks(
    annotations: VideoAnnotations, results: Sequence[TrackResult], workers: int | None = None
) -> VideoAPResult:
    """Evaluate detected tracks.

    Args:
        annotations: the ground truth.
        results: the detected tracks, see `results.read_results`.
        workers: processes; each needs the memory of one video. Defaults to min(4, CPU cores),
            fewer for small inputs.

    Raises:
        AnnotationError: if the ground truth has no annotations, or a segmentation is broken.
        ResultsError: if a segmentation of a track is broken.
        AxialVSError: if a process died.
    """
    annotations.require_instances()
    gts = annotations.instances_by_video()
    by_video: dict[int, list[TrackResult]] = {video.id: [] for video in annotations.videos}
    for result in results:
        by_video[result.video_id].append(result)
    if workers is None:
        num_masks = sum(len(result.segmentations) for result in results)
        workers = min(usable_cores(), _MAX_WORKERS, 1 + num_masks // _MASKS_PER_WORKER)

    def evaluate(index: int) -> VideoEval:
        video = annotations.videos[index]
        return evaluate_video(video, gts[video.id], by_video[video.id])

    videos = fork_map(evaluate, range(len(annotations.videos)), workers)
    return accumulate(videos, annotations.categories)


def evaluate_video(
    video: Video, gts: Sequence[Instance], results: Sequence[TrackResult]
) -> VideoEval:
    """Match the results of a video with its ground truth, by category.

    Args:
        video: the video.
        gts: its ground truth tracks.
        results: its detected tracks, checked, in the order of the file.

    Raises:
        AnnotationError: if a segmentation of the ground truth is broken.
        ResultsError: if a segmentation of a result is broken.
    """
    num_detections: dict[int, int] = {}
    best: list[TrackResult] = []  # by descending score; equal scores in the order of the file
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
    # Tracks of different categories have an IoU of 0, so all categories are matched at once.
    matches = match_tracks(overlaps.ious, gt_ignored, crowd, IOU_THRESHOLDS)
    matched = matches != UNMATCHED
    # Ignored: matched with an ignored track, or unmatched and outside of the area range.
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

    In the given order, by descending score, each detection takes the free ground truth track with
    the highest IoU; the last one of equal IoUs. Tracks that count come before ignored ones,
    whatever their IoU. A crowd stays free.

    Args:
        ious: (D, G) of detections, by descending score, and ground truth tracks.
        ignored: (A, G) whether a ground truth track does not count, for each of A area ranges.
        crowd: (G,) whether it is a crowd.
        thresholds: (S,) lowest IoUs of a match.

    Returns:
        (A, S, D) index of the ground truth track, or `UNMATCHED`.
    """
    shape = len(ignored), len(thresholds)
    matches = np.full((len(ious), *shape), UNMATCHED)
    # Slightly below 1, so that a perfect tube matches in spite of rounding.
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
    """(G,) mean areas, from the file's `areas` as the official evaluator, else measured."""
    sizes = _mean_areas(areas)
    for index, gt in enumerate(gts):
        if gt.areas is not None:
            present = [area for area in gt.areas if area]
            sizes[index] = sum(present) / len(present) if present else 0.0
    return sizes


def _mean_areas(areas: NDArray[np.int64]) -> NDArray[np.float64]:
    """(tracks,) mean over the frames in which the track is visible; 0 if there is none."""
    return areas.sum(axis=1) / np.maximum((areas > 0).sum(axis=1), 1)


def _outside_ranges(sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(A, tracks) whether a track's size is outside of each area range."""
    low, high = np.array(list(AREA_RANGES.values())).T[..., None]
    return (sizes < low) | (sizes > high)


def accumulate(videos: Iterable[VideoEval], categories: Sequence[Category]) -> VideoAPResult:
    """Pool the matches of videos; their order does not matter.

    Args:
        videos: one per video.
        categories: those of the ground truth.
    """
    videos = tuple(sorted(videos, key=lambda video: video.video_id))
    categories = tuple(sorted(categories, key=lambda category: category.id))
    shape = len(categories), len(AREA_RANGES), len(IOU_THRESHOLDS)
    precisions = np.full((*shape, len(RECALL_POINTS)), NO_GT)
    recalls = np.full((*shape, len(MAX_DETECTIONS)), NO_GT)
    if not videos:
        return VideoAPResult(categories, precisions, recalls, videos)
    pooled = {
        name: np.concatenate([getattr(video, name) for video in videos], axis=-1)
        for name in ('categories', 'scores', 'ranks', 'matched', 'ignored', 'gt_ignored')
    }
    gt_categories = np.concatenate([video.gt_categories for video in videos])
    # By category, then by descending score; equal scores in the order of videos.
    order = np.lexsort((-pooled['scores'], pooled['categories']))
    sorted_categories = pooled['categories'][order]
    for index, category in enumerate(categories):
        first, last = (np.searchsorted(sorted_categories, category.id + i) for i in (0, 1))
        chosen = order[first:last]
        precisions[index], recalls[index] = precision_and_recall(
            pooled['matched'][..., chosen],
            pooled['ignored'][..., chosen],
            pooled['ranks'][chosen],
            (~pooled['gt_ignored'][:, gt_categories == category.id]).sum(axis=1),
            MAX_DETECTIONS,
        )
    return VideoAPResult(categories, precisions, recalls, videos)


def precision_and_recall(
    matched: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    ranks: NDArray[np.int64],
    num_gts: NDArray[np.int64],
    max_detections: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of a category over its D detections in all videos.

    Args:
        matched: (A, S, D) for A area ranges and S IoU thresholds, by descending score.
        ignored: (A, S, D) detections that are neither true nor false positives.
        ranks: (D,) rank of the detection within its video, from 0.
        num_gts: (A,) ground truth tracks that count.
        max_detections: limits per video, ascending; the precision is for the last.

    Returns:
        precisions: (A, S, P) at `RECALL_POINTS`, or -1 without ground truth.
        recalls: (A, S, M) for each of `max_detections`, or -1 without ground truth.
    """
    precisions = np.full((*matched.shape[:2], len(RECALL_POINTS)), NO_GT)
    recalls = np.full((*matched.shape[:2], len(max_detections)), NO_GT)
    for area_range in np.flatnonzero(num_gts):
        total = num_gts[area_range]
        true = matched[area_range] & ~ignored[area_range]
        for index, limit in enumerate(max_detections):
            recalls[area_range, :, index] = true[:, ranks < limit].sum(axis=1) / total
        within = ranks < max_detections[-1]
        false = ~(matched[area_range] | ignored[area_range])
        precisions[area_range] = _sampled_precision(true[:, within], false[:, within], total)
    return precisions, recalls


def _sampled_precision(
    true: NDArray[np.bool_], false: NDArray[np.bool_], num_gts: int
) -> NDArray[np.float64]:
    """(S, P) highest precision at each of `RECALL_POINTS` or beyond; 0 if it is not reached.

    Args:
        true: (S, D) true positives, by descending score.
        false: (S, D) false positives.
        num_gts: ground truth tracks that count.
    """
    num_true = np.cumsum(true, axis=1)
    precision = num_true / (num_true + np.cumsum(false, axis=1) + np.spacing(1))
    best_beyond = np.zeros((len(true), true.shape[1] + 1))
    best_beyond[:, :-1] = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = num_true / num_gts
    reached = [np.searchsorted(of_threshold, RECALL_POINTS) for of_threshold in recall]
    return np.take_along_axis(best_beyond, np.array(reached), axis=1)


def _metrics(precisions: NDArray[np.float64], recalls: NDArray[np.float64]) -> dict[str, float]:
    """The official twelve, of precisions (K, A, S, P) and recalls (K, A, S, M)."""
    fifty, seventy_five = (int(np.argmin(abs(IOU_THRESHOLDS - x))) for x in (0.5, 0.75))
    sizes = list(enumerate(AREA_RANGES))[1:]
    return {
        'AP': _mean(precisions[:, 0]),
        'AP50': _mean(precisions[:, 0, fifty]),
        'AP75': _mean(precisions[:, 0, seventy_five]),
        **{f'AP{name[0]}': _mean(precisions[:, i]) for i, name in sizes},
        **{f'AR{limit}': _mean(recalls[:, 0, :, i]) for i, limit in enumerate(MAX_DETECTIONS)},
        **{f'AR{name[0]}': _mean(recalls[:, i, :, -1]) for i, name in sizes},
    }


def _mean(values: NDArray[np.float64]) -> float:
    counting = values[values != NO_GT]
    return float(counting.mean()) if counting.size else NO_GT
