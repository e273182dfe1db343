"""Identity switches: how often the detected track that follows an object changes its identity."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import (
    Instance,
    Video,
    VideoAnnotations,
)
from axialvs.evaluation.compressed_masks import compressed_tube
from axialvs.evaluation.results import TrackResult

# Makes a match that lasts from the frame before win over any IoU, which is at most 1.
_CONTINUITY_BONUS = 1000.0


@dataclass(frozen=True, slots=True)
class IDSwitches:
    """Identity switches of a data set.

    Attributes:
        switches: By video id the number of switches of each ground truth track, by its id.
        visible: Frames in which ground truth tracks are visible, summed over tracks.
        followed: How many of these have a matched detection.
    """

    switches: dict[int, dict[int, int]]
    visible: int
    followed: int

    @property
    def total(self) -> int:
        """Switches of all videos."""
        return sum(sum(of_video.values()) for of_video in self.switches.values())


def count_id_switches(
    annotations: VideoAnnotations,
    results: Iterable[TrackResult],
    min_iou: float = 0.5,
    min_score: float = 0.0,
    same_category: bool = True,
) -> IDSwitches:
    """Counts as the CLEAR MOT metrics do, with masks for boxes (Bernardin and Stiefelhagen, 2008).

    In each frame ground truth tracks and detected tracks are matched one to one. Pairs of the frame
    before that still have the IoU stay together; the others are matched for the highest sum of
    IoUs. A switch is a match with another detected track than the last that followed the object,
    also after a gap. Crowds are left out.

    Args:
        annotations: The ground truth.
        results: The detected tracks. A model gives many tracks of low score that overlap others;
            `min_score` leaves them out.
        min_iou: Mask IoU in the frame from which two may match.
        min_score: Least score of a detected track.
        same_category: Whether only tracks of the same category may match.

    Raises:
        AnnotationError: The ground truth has no annotations.
    """
    if annotations.instances is None:
        raise AnnotationError(f"{annotations.path}: field 'annotations': is missing or null.")
    tracks = defaultdict(list)
    for result in results:
        if result.score >= min_score:
            tracks[result.video_id].append(result)
    truths = annotations.instances_by_video()
    switches, visible, followed = {}, 0, 0
    for video in annotations.videos:
        of_video = [truth for truth in truths[video.id] if not truth.iscrowd]
        matches, present = _match_frames(video, of_video, tracks[video.id], min_iou, same_category)
        switches[video.id] = {
            truth.id: _changes(row) for truth, row in zip(of_video, matches, strict=True)
        }
        visible += int(present.sum())
        followed += int((matches >= 0).sum())
    return IDSwitches(switches, visible, followed)


def _changes(matches: NDArray[np.int64]) -> int:
    """How often the index changes along the frames; -1, unmatched, is passed over."""
    followers = matches[matches >= 0]
    return int((followers[1:] != followers[:-1]).sum())


def _match_frames(
    video: Video,
    truths: Sequence[Instance],
    tracks: Sequence[TrackResult],
    min_iou: float,
    same_category: bool,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Index of the matched track, or -1, and whether the truth is visible, each (G, L)."""
    masks = [_masks(video, group) for group in (truths, tracks)]
    categories = [np.array([x.category_id for x in group], int) for group in (truths, tracks)]
    allowed = categories[0][:, None] == categories[1]
    if not same_category:
        allowed = np.ones_like(allowed)
    matches = np.full((len(truths), video.length), -1)
    present = np.zeros((len(truths), video.length), dtype=bool)
    before = np.full(len(truths), -1)
    for frame in range(video.length):
        of_frame = [[track[frame] for track in group] for group in masks]
        present[:, frame] = [mask is not None for mask in of_frame[0]]
        ious = np.where(allowed, _frame_ious(*of_frame), 0.0)
        before = _match_frame(ious, before, min_iou)
        matches[:, frame] = before
    return matches, present


def _match_frame(
    ious: NDArray[np.float64], before: NDArray[np.int64], min_iou: float
) -> NDArray[np.int64]:
    """(G,) index of the track that each truth is matched with, or -1.

    Args:
        ious: (G, D) in this frame.
        before: (G,) the same for the frame before.
        min_iou: Least IoU of a match.
    """
    possible = (ious >= min_iou) & (ious > 0)
    lasts = before[:, None] == np.arange(ious.shape[1])
    gain = np.where(possible, ious + _CONTINUITY_BONUS * lasts, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    chosen = possible[rows, columns]
    matched = np.full(len(ious), -1)
    matched[rows[chosen]] = columns[chosen]
    return matched


def _masks(video: Video, tracks: Sequence[Instance | TrackResult]) -> list[list[Any]]:
    """RLE of each track in each frame; None where it has no pixel."""
    size = [video.height, video.width]
    return [
        [
            _or_none({'size': size, 'counts': counts})
            for counts in compressed_tube(track.segmentations, *size)
        ]
        for track in tracks
    ]


def _or_none(mask: dict[str, Any]) -> dict[str, Any] | None:
    return mask if mask['counts'] is not None and coco_mask.area(mask) > 0 else None


def _frame_ious(truths: Sequence[Any], tracks: Sequence[Any]) -> NDArray[np.float64]:
    """(G, D) IoU of masks; 0 where one is absent."""
    ious = np.zeros((len(truths), len(tracks)))
    rows, columns = ([i for i, mask in enumerate(x) if mask] for x in (truths, tracks))
    if rows and columns:
        ious[np.ix_(rows, columns)] = coco_mask.iou(
            [truths[i] for i in rows], [tracks[i] for i in columns], [0] * len(columns)
        )
    return ious
