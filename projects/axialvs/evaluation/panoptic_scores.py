"""The figures of video panoptic segmentation, VPQ and STQ, from files in VIPSeg's layout."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import PanopticCategory, PanopticSegmentation
from axialvs.evaluation.panoptic_files import Tubes, read_overlaps, tubes_of
from axialvs.evaluation.stq import TrackingCounts, track_tubes
from axialvs.evaluation.vpq import (
    WINDOWS,
    PanopticCounts,
    SlidingSums,
    match_tubes,
)
from axialvs.utils.parallel import fork_map, usable_cores

NOTHING_COUNTS = -1.0
_PERCENT = 100.0


@dataclass(slots=True)
class VideoPanopticScores:
    """Counts of one video or of many.

    Attributes:
        categories: The N classes.
        panoptic: For each of `WINDOWS`.
        tracking: For STQ.
    """

    categories: tuple[PanopticCategory, ...]
    panoptic: dict[int, PanopticCounts]
    tracking: TrackingCounts

    @classmethod
    def zero(cls, categories: tuple[PanopticCategory, ...]) -> 'VideoPanopticScores':
        """Nothing counted yet."""
        panoptic = {window: PanopticCounts.zero(len(categories)) for window in WINDOWS}
        return cls(categories, panoptic, TrackingCounts.zero(len(categories)))

    def add(self, other: 'VideoPanopticScores') -> None:
        """Adds counts of other videos in place."""
        for window, counts in self.panoptic.items():
            counts.add(other.panoptic[window])
        self.tracking.add(other.tracking)

    def summary(self) -> dict[str, float]:
        """All figures in percent, or -1 where nothing counts.

        `vpqN`, `vpqN_thing`, `vpqN_stuff` for windows of N frames: means over the classes that
        have a tube that counts. `vpq`, `vpq_thing`, `vpq_stuff`: the means of these over the
        windows. `stq`: the geometric mean of `aq`, association, and `sq`, segmentation.
        """
        isthing = _isthing(self.categories)
        parts = {'': np.ones_like(isthing), '_thing': isthing, '_stuff': ~isthing}
        windows: dict[str, float] = {}
        for window, counts in self.panoptic.items():
            qualities = counts.qualities()
            for part, chosen in parts.items():
                windows[f'vpq{window}{part}'] = _mean(qualities[chosen])
        means = {
            f'vpq{part}': float(np.mean([windows[f'vpq{window}{part}'] for window in WINDOWS]))
            for part in parts
        }
        aq, sq = self.tracking.association_quality(), _mean(self.tracking.class_ious())
        figures = {**means, **windows, 'stq': float(np.sqrt(aq * sq)), 'aq': aq, 'sq': sq}
        return {
            name: NOTHING_COUNTS if np.isnan(value) else _PERCENT * value
            for name, value in figures.items()
        }


def evaluate_panoptic(
    truth: PanopticSegmentation,
    predictions: PanopticSegmentation,
    workers: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> VideoPanopticScores:
    """Scores predicted segmentations.

    Args:
        truth: The ground truth, see `panoptic_files`.
        predictions: With the same videos and frames.
        workers: Processes that share the videos; each needs the memory of two frames. By default
            one a CPU core.
        progress: Wraps the iteration over the videos, as tqdm does.

    Raises:
        FileNotFoundError: A PNG is missing.
        AnnotationError: A PNG is wrong.
        RuntimeError: A process died.
    """

    def score(index: int) -> VideoPanopticScores:
        overlaps = read_overlaps(truth, predictions, index)
        return score_video(overlaps, tubes_of(truth, predictions, index), truth.categories)

    scores = VideoPanopticScores.zero(truth.categories)
    workers = usable_cores() if workers is None else workers
    for of_video in progress(fork_map(score, range(len(truth.videos)), workers)):
        scores.add(of_video)
    return scores


def score_video(
    overlaps: Iterable[NDArray[np.int64]], tubes: Tubes, categories: tuple[PanopticCategory, ...]
) -> VideoPanopticScores:
    """Scores one video.

    Args:
        overlaps: For each frame (G + 1, P + 1) pixels of each pair of tubes; first come void's.
        tubes: The G and the P tubes.
        categories: The classes.
    """
    scores = VideoPanopticScores.zero(categories)
    sums = SlidingSums(WINDOWS)
    total = np.zeros((len(tubes.truth_classes) + 1, len(tubes.predicted_classes) + 1), np.int64)
    for shared in overlaps:
        total += shared
        for window, of_window in sums.add(shared):
            scores.panoptic[window].add(match_tubes(of_window, tubes, len(categories)))
    scores.tracking.add(track_tubes(total, tubes, _isthing(categories)))
    return scores


def _isthing(categories: tuple[PanopticCategory, ...]) -> NDArray[np.bool_]:
    return np.array([category.isthing for category in categories], dtype=bool)


def _mean(values: NDArray[np.float64]) -> float:
    """Over what is not NaN; NaN where there is nothing."""
    counting = values[~np.isnan(values)]
    return float(counting.mean()) if counting.size else np.nan
