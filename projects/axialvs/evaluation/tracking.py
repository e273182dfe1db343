"""HOTA and IDF1 of tracks, with mask IoU per frame.

HOTA: Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2021.
IDF1: Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking,
ECCV Workshops 2016. As in TrackEval, all detected tracks are evaluated regardless of their scores,
crowds are treated as objects, and metrics are computed per class and averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from axialvs.datasets.annotations.youtube_vis import VideoAnnotations
from axialvs.evaluation.results import (
    TrackResult,
    read_gt_tubes,
    read_result_tubes,
    results_by_video,
)
from axialvs.evaluation.tube_iou import Tube, frame_ious

ALPHAS = np.arange(0.05, 0.99, 0.05)  # IoU thresholds of HOTA
IDENTITY_IOU = 0.5  # threshold of IDF1
TRACKING_METRICS = ('HOTA', 'DetA', 'AssA', 'LocA', 'IDF1', 'IDR', 'IDP')

_EPS = np.finfo(float).eps


class FrameOverlaps(NamedTuple):
    """Objects and tracks present in a frame."""

    gts: NDArray[np.int64]  # (g,) indices of objects
    tracks: NDArray[np.int64]  # (d,) indices of tracks
    ious: NDArray[np.float64]  # (g, d)


def _zeros() -> NDArray[np.float64]:
    return np.zeros(len(ALPHAS))


@dataclass(slots=True)
class TrackingCounts:
    """Counts summed over frames, which can be added over videos and classes.

    Attributes:
        tp: (A,) number of matches at each of `ALPHAS`.
        fn: (A,) number of unmatched objects.
        fp: (A,) number of unmatched tracks.
        association: (A,) sum of the association scores of matches.
        iou: (A,) sum of the IoUs of matches.
        id_tp: number of matches of the best one-to-one assignment of tracks to objects.
        id_fn: number of objects, summed over frames, that are not in `id_tp`.
        id_fp: number of tracks, summed over frames, that are not in `id_tp`.
    """

    tp: NDArray[np.float64] = field(default_factory=_zeros)
    fn: NDArray[np.float64] = field(default_factory=_zeros)
    fp: NDArray[np.float64] = field(default_factory=_zeros)
    association: NDArray[np.float64] = field(default_factory=_zeros)
    iou: NDArray[np.float64] = field(default_factory=_zeros)
    id_tp: float = 0.0
    id_fn: float = 0.0
    id_fp: float = 0.0

    def add(self, other: 'TrackingCounts') -> None:
        """Add counts in place."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_empty(self) -> bool:
        """Return whether there are neither objects nor tracks."""
        return not (self.tp + self.fn + self.fp).any()

    def metrics(self) -> dict[str, float]:
        """Compute `TRACKING_METRICS` as fractions, with HOTA metrics averaged over `ALPHAS`."""
        det = self.tp / np.maximum(1, self.tp + self.fn + self.fp)
        ass = self.association / np.maximum(1, self.tp)
        loc = np.maximum(1e-10, self.iou) / np.maximum(1e-10, self.tp)
        return {
            'HOTA': float(np.sqrt(det * ass).mean()),
            'DetA': float(det.mean()),
            'AssA': float(ass.mean()),
            'LocA': float(loc.mean()),
            'IDF1': self.id_tp / max(1.0, self.id_tp + (self.id_fp + self.id_fn) / 2),
            'IDR': self.id_tp / max(1.0, self.id_tp + self.id_fn),
            'IDP': self.id_tp / max(1.0, self.id_tp + self.id_fp),
        }


@dataclass(frozen=True, slots=True)
class TrackingResult:
    """Counts of each category of a dataset, by id and name."""

    counts: dict[tuple[int, str], TrackingCounts]

    def summary(self) -> dict[str, float]:
        """Average `TRACKING_METRICS` over the categories with objects or tracks."""
        rows = [counts.metrics() for counts in self.counts.values() if not counts.is_empty]
        return {
            name: float(np.mean([row[name] for row in rows])) if rows else -1.0
            for name in TRACKING_METRICS
        }

    def per_class(self) -> dict[str, dict[str, float]]:
        """Compute `TRACKING_METRICS` of each category with objects or tracks, by its name."""
        names = [name for _, name in self.counts]
        return {
            f'{name} ({identifier})' if names.count(name) > 1 else name: counts.metrics()
            for (identifier, name), counts in self.counts.items()
            if not counts.is_empty
        }

    def pooled(self) -> dict[str, float]:
        """Compute `TRACKING_METRICS` of the counts summed over all categories."""
        total = TrackingCounts()
        for counts in self.counts.values():
            total.add(counts)
        return total.metrics()


def evaluate_tracking(
    annotations: VideoAnnotations, results: Sequence[TrackResult]
) -> TrackingResult:
    """Compute the tracking counts of each category.

    Args:
        annotations: the ground truth.
        results: the detected tracks, see `results.read_results`.

    Raises:
        AnnotationError: if the ground truth has no annotations, or a segmentation is invalid.
        ResultsError: if the segmentation of a track is invalid.
    """
    annotations.require_instances()
    gts = annotations.instances_by_video()
    tracks = results_by_video(annotations, results)
    counts = {(c.id, c.name): TrackingCounts() for c in annotations.categories}
    for video in annotations.videos:
        for (category, _), total in counts.items():
            of_gts = [x for x in gts[video.id] if x.category_id == category]
            of_tracks = [x for x in tracks[video.id] if x.category_id == category]
            if of_gts or of_tracks:
                tubes = read_gt_tubes(video, of_gts), read_result_tubes(video, of_tracks)
                total.add(tracking_counts(*tubes))
    return TrackingResult(counts)


def tracking_counts(gts: Sequence[Tube], tracks: Sequence[Tube]) -> TrackingCounts:
    """Count the matches of a video.

    Args:
        gts: G ground truth tubes.
        tracks: D detected tubes.
    """
    length = len([*gts, *tracks][0])
    frames = [_frame_overlaps(gts, tracks, frame) for frame in range(length)]
    shape = len(gts), len(tracks)
    gt_lengths, track_lengths = np.zeros((shape[0], 1)), np.zeros((1, shape[1]))
    similar, close = np.zeros(shape), np.zeros(shape)
    for frame in frames:
        gt_lengths[frame.gts] += 1
        track_lengths[:, frame.tracks] += 1
        pairs = np.ix_(frame.gts, frame.tracks)
        # IoUs relative to all overlaps of the object and of the track.
        sums = frame.ious.sum(0) + frame.ious.sum(1, keepdims=True) - frame.ious
        similar[pairs] += np.where(sums > _EPS, frame.ious / np.maximum(sums, _EPS), 0)
        close[pairs] += frame.ious >= IDENTITY_IOU

    alignment = similar / np.maximum(gt_lengths + track_lengths - similar, _EPS)
    counts = TrackingCounts()
    matches = np.zeros((len(ALPHAS), *shape))  # number of frames in which each pair is matched
    for frame in frames:
        gains = alignment[np.ix_(frame.gts, frame.tracks)] * frame.ious
        rows, columns = linear_sum_assignment(gains, maximize=True)
        ious = frame.ious[rows, columns]
        matched = ious >= ALPHAS[:, None] - _EPS
        counts.tp += matched.sum(1)
        counts.fn += len(frame.gts) - matched.sum(1)
        counts.fp += len(frame.tracks) - matched.sum(1)
        counts.iou += (matched * ious).sum(1)
        matches[:, frame.gts[rows], frame.tracks[columns]] += matched
    association = matches / np.maximum(1, gt_lengths + track_lengths - matches)
    counts.association = (matches * association).sum((1, 2))

    counts.id_tp = float(close[linear_sum_assignment(close, maximize=True)].sum())
    counts.id_fn = float(gt_lengths.sum()) - counts.id_tp
    counts.id_fp = float(track_lengths.sum()) - counts.id_tp
    return counts


def _frame_overlaps(gts: Sequence[Tube], tracks: Sequence[Tube], frame: int) -> FrameOverlaps:
    present = [
        np.array([i for i, tube in enumerate(tubes) if tube[frame] is not None], np.int64)
        for tubes in (gts, tracks)
    ]
    masks = (
        [tubes[i][frame] for i in of] for tubes, of in zip((gts, tracks), present, strict=True)
    )
    return FrameOverlaps(*present, frame_ious(*masks))
