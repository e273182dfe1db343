"""Average precision and recall of tracks: the official YouTube-VIS evaluation.

Follows the COCO evaluation: match the tracks of each video (`track_matching.evaluate_video`),
accumulate over videos (`accumulate`), summarize. Yang et al., Video Instance Segmentation, ICCV
2019.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.youtube_vis import Category, VideoAnnotations
from axialvs.evaluation.results import TrackResult, results_by_video
from axialvs.evaluation.track_matching import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    MAX_DETECTIONS,
    VideoEval,
    evaluate_video,
)
from axialvs.utils.parallel import fork_map, usable_cores

RECALL_POINTS = np.linspace(0.0, 1.0, 101)
NO_GT = -1.0  # value of a metric without ground truth
_MAX_WORKERS = 4  # limits memory
_MASKS_PER_WORKER = 10_000  # with fewer masks, a single process is faster


@dataclass(frozen=True, slots=True)
class VideoAPResult:
    """Metrics of a dataset, as fractions, or -1 without ground truth.

    Attributes:
        categories: K categories, by ascending id.
        precisions: (K, A, S, P) precisions for A `AREA_RANGES`, S `IOU_THRESHOLDS` and P
            `RECALL_POINTS`, with the last of `MAX_DETECTIONS`.
        recalls: (K, A, S, M) recalls for M `MAX_DETECTIONS`.
        videos: matches of each video, by ascending id.
    """

    categories: tuple[Category, ...]
    precisions: NDArray[np.float64]
    recalls: NDArray[np.float64]
    videos: tuple[VideoEval, ...]

    def summary(self) -> dict[str, float]:
        """Compute AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm and ARl.

        They are means over the categories with ground truth.
        """
        return _metrics(self.precisions, self.recalls)

    def per_class(self) -> dict[str, dict[str, float]]:
        """Compute the metrics of `summary`, `gts` and `tracks` of each category, by its name.

        `gts` is the number of ground truth tracks without crowds, `tracks` the number of
        detections. Categories with the same name are listed as `name (id)`.
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
        """Compute AP, AP50 and track counts of each video, by video id.

        `gts` and `tracks` are defined as in `per_class`. `matched` and `missed` are the numbers of
        ground truth tracks with and without a detection with an IoU of at least 0.5.
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
        workers: number of processes, each with the memory of one video. Defaults to min(4, CPU
            cores), and fewer for small inputs.

    Raises:
        AnnotationError: if the ground truth has no annotations, or a segmentation is invalid.
        ResultsError: if the segmentation of a track is invalid.
        AxialVSError: if a process died.
    """
    annotations.require_instances()
    gts = annotations.instances_by_video()
    by_video = results_by_video(annotations, results)
    if workers is None:
        num_masks = sum(len(result.segmentations) for result in results)
        workers = min(usable_cores(), _MAX_WORKERS, 1 + num_masks // _MASKS_PER_WORKER)

    def evaluate(index: int) -> VideoEval:
        video = annotations.videos[index]
        return evaluate_video(video, gts[video.id], by_video[video.id])

    videos = fork_map(evaluate, range(len(annotations.videos)), workers)
    return accumulate(videos, annotations.categories)


def accumulate(videos: Iterable[VideoEval], categories: Sequence[Category]) -> VideoAPResult:
    """Compute precisions and recalls from the matches of all videos, in any order.

    Args:
        videos: matches of each video.
        categories: categories of the ground truth.
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
    # By category, then by descending score, with ties in video order.
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
    """Compute precision and recall of a category over its D detections in all videos.

    Args:
        matched: (A, S, D) whether a detection is matched, for A area ranges and S IoU thresholds,
            by descending score.
        ignored: (A, S, D) whether a detection is neither a true nor a false positive.
        ranks: (D,) rank of the detection within its video, from 0.
        num_gts: (A,) number of ground truth tracks that are not ignored.
        max_detections: ascending limits per video; the precision uses the last one.

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
    """Interpolate the precision at `RECALL_POINTS`: the maximum at this recall or above, or 0.

    Args:
        true: (S, D) true positives, by descending score.
        false: (S, D) false positives.
        num_gts: number of ground truth tracks that are not ignored.

    Returns:
        (S, P) precisions.
    """
    num_true = np.cumsum(true, axis=1)
    precision = num_true / (num_true + np.cumsum(false, axis=1) + np.spacing(1))
    best_beyond = np.zeros((len(true), true.shape[1] + 1))
    best_beyond[:, :-1] = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = num_true / num_gts
    reached = [np.searchsorted(of_threshold, RECALL_POINTS) for of_threshold in recall]
    return np.take_along_axis(best_beyond, np.array(reached), axis=1)


def _metrics(precisions: NDArray[np.float64], recalls: NDArray[np.float64]) -> dict[str, float]:
    """Compute the twelve official metrics from precisions (K, A, S, P) and recalls (K, A, S, M)."""
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
