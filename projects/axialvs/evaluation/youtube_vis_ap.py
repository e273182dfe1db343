"""The official YouTube-VIS figures: average precision and recall of tracks by tube IoU."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations import AnnotationError, Category, VideoAnnotations
from axialvs.evaluation.forked_map import forked_map, usable_cores
from axialvs.evaluation.precision_recall import (
    NOTHING_COUNTS,
    RECALL_POINTS,
    precision_and_recall,
)
from axialvs.evaluation.results_file import TrackResult
from axialvs.evaluation.video_outcomes import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    MAX_DETECTIONS,
    VideoOutcomes,
    video_outcomes,
)

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
