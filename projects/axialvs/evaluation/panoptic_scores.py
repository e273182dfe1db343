"""VPQ and STQ of panoptic videos."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import PanopticCategory, PanopticSegmentation
from axialvs.evaluation.panoptic_counts import Tubes, tubes_of
from axialvs.evaluation.panoptic_files import read_overlaps
from axialvs.evaluation.stq import STQCounts, stq_counts
from axialvs.evaluation.vpq import WINDOWS, SlidingSums, VPQCounts, vpq_counts
from axialvs.utils.parallel import fork_map, usable_cores

NOT_DEFINED = -1.0
_PERCENT = 100.0


@dataclass(slots=True)
class VideoPanopticScores:
    """Counts of one or more videos.

    Attributes:
        categories: the N classes.
        vpq: VPQ counts by window size.
        stq: STQ counts of whole videos.
    """

    categories: tuple[PanopticCategory, ...]
    vpq: dict[int, VPQCounts]
    stq: STQCounts

    @classmethod
    def zero(
        cls, categories: tuple[PanopticCategory, ...], windows: Sequence[int] = WINDOWS
    ) -> 'VideoPanopticScores':
        """Create zero counts."""
        vpq = {window: VPQCounts.zero(len(categories)) for window in windows}
        return cls(categories, vpq, STQCounts.zero(len(categories)))

    def add(self, other: 'VideoPanopticScores') -> None:
        """Add counts of other videos in place."""
        for window, counts in self.vpq.items():
            counts.add(other.vpq[window])
        self.stq.add(other.stq)

    def summary(self) -> dict[str, float]:
        """Compute all metrics in percent, or -1 if undefined.

        `vpqN`, `vpqN_thing`, `vpqN_stuff`: VPQ in windows of N frames, averaged over the classes
        with evaluated tubes. `vpq`, `vpq_thing`, `vpq_stuff`: their means over the windows.
        `stq`: the geometric mean of association quality `aq` and segmentation quality `sq`.
        """
        isthing = _isthing(self.categories)
        parts = {'': np.ones_like(isthing), '_thing': isthing, '_stuff': ~isthing}
        by_window = {
            f'vpq{window}{part}': _mean(counts.qualities()[chosen])
            for window, counts in self.vpq.items()
            for part, chosen in parts.items()
        }
        means = {
            f'vpq{part}': float(np.mean([by_window[f'vpq{window}{part}'] for window in self.vpq]))
            for part in parts
        }
        aq, sq = self.stq.association_quality(), _mean(self.stq.class_ious())
        metrics = {**means, **by_window, 'stq': float(np.sqrt(aq * sq)), 'aq': aq, 'sq': sq}
        return {
            name: NOT_DEFINED if np.isnan(value) else _PERCENT * value
            for name, value in metrics.items()
        }


def evaluate_panoptic(
    gt: PanopticSegmentation,
    predictions: PanopticSegmentation,
    workers: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> VideoPanopticScores:
    """Evaluate predicted segmentations stored in files.

    Args:
        gt: the ground truth.
        predictions: predictions for the same videos and frames.
        workers: number of processes, each with the memory of two frames. Defaults to one per CPU
            core.
        progress: wrapper of the iterator over the videos, such as tqdm.

    Raises:
        FileNotFoundError: if a PNG is missing.
        AnnotationError: if a PNG is invalid.
        AxialVSError: if a process died.
    """

    def evaluate(index: int) -> VideoPanopticScores:
        overlaps = read_overlaps(gt, predictions, index)
        predicted = sorted(predictions.videos[index].categories.items())
        tubes = tubes_of(gt.videos[index], [category for _, category in predicted], gt.categories)
        return evaluate_video(overlaps, tubes, gt.categories)

    scores = VideoPanopticScores.zero(gt.categories)
    workers = usable_cores() if workers is None else workers
    for of_video in progress(fork_map(evaluate, range(len(gt.videos)), workers)):
        scores.add(of_video)
    return scores


def evaluate_video(
    overlaps: Iterable[NDArray[np.int64]],
    tubes: Tubes,
    categories: tuple[PanopticCategory, ...],
    windows: Sequence[int] = WINDOWS,
) -> VideoPanopticScores:
    """Evaluate one video.

    Args:
        overlaps: (G + 1, P + 1) counts of each frame, see `PairCounts.table`.
        tubes: the G ground truth and P predicted tubes.
        categories: the classes.
        windows: window sizes of VPQ, in frames.
    """
    scores = VideoPanopticScores.zero(categories, windows)
    sums = SlidingSums(windows)
    total = np.zeros((len(tubes.gt_classes) + 1, len(tubes.classes) + 1), np.int64)
    for shared in overlaps:
        total += shared
        for window, of_window in sums.add(shared):
            scores.vpq[window].add(vpq_counts(of_window, tubes, len(categories)))
    scores.stq.add(stq_counts(total, tubes, _isthing(categories)))
    return scores


def _isthing(categories: tuple[PanopticCategory, ...]) -> NDArray[np.bool_]:
    return np.array([category.isthing for category in categories], dtype=bool)


def _mean(values: NDArray[np.float64]) -> float:
    """Compute the mean ignoring NaN; NaN if all values are NaN."""
    counting = values[~np.isnan(values)]
    return float(counting.mean()) if counting.size else np.nan
