"""Track identity: identity switches (CLEAR MOT), and matching of track ids to the ground truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from axialvs.datasets.annotations.youtube_vis import Instance, Video, VideoAnnotations
from axialvs.evaluation.results import (
    TrackResult,
    read_gt_tubes,
    read_result_tubes,
    results_by_video,
)
from axialvs.evaluation.tube_iou import Tube, frame_ious, tube_overlaps

# Prefers matches of the previous frame to any IoU, which is at most 1.
_CONTINUITY_BONUS = 1000.0


@dataclass(frozen=True, slots=True)
class IDSwitches:
    """Identity switches of a dataset.

    Attributes:
        switches: number of switches of each ground truth track, by video id and track id.
        visible: number of frames in which a ground truth track is visible, summed over tracks.
        followed: number of these frames with a matched detection.
    """

    switches: dict[int, dict[int, int]]
    visible: int
    followed: int

    @property
    def total(self) -> int:
        """Number of switches in all videos."""
        return sum(sum(of_video.values()) for of_video in self.switches.values())


def count_id_switches(
    annotations: VideoAnnotations,
    results: Iterable[TrackResult],
    min_iou: float = 0.5,
    min_score: float = 0.0,
    same_category: bool = True,
) -> IDSwitches:
    """Count identity switches as in CLEAR MOT (Bernardin and Stiefelhagen, 2008), with mask IoU.

    In each frame, ground truth and detected tracks are matched one to one. Pairs of the previous
    frame stay matched while their IoU is at least `min_iou`; the others are matched to maximize the
    sum of IoUs. A switch is a match with a detected track that differs from the last match of the
    object, also after a gap. Crowds are ignored.

    Args:
        annotations: the ground truth.
        results: the detected tracks. Models return many overlapping tracks with low scores;
            `min_score` removes them.
        min_iou: minimum mask IoU of a match in a frame.
        min_score: minimum score of a detected track.
        same_category: only match tracks of the same category.

    Raises:
        AnnotationError: if the ground truth has no annotations.
    """
    annotations.require_instances()
    tracks = results_by_video(annotations, (x for x in results if x.score >= min_score))
    instances = annotations.instances_by_video()
    switches, visible, followed = {}, 0, 0
    for video in annotations.videos:
        gts = [gt for gt in instances[video.id] if not gt.iscrowd]
        matches, present = _match_frames(video, gts, tracks[video.id], min_iou, same_category)
        switches[video.id] = {
            gt.id: _num_changes(row) for gt, row in zip(gts, matches, strict=True)
        }
        visible += int(present.sum())
        followed += int((matches >= 0).sum())
    return IDSwitches(switches, visible, followed)


def _num_changes(matches: NDArray[np.int64]) -> int:
    """Count the changes of the matched index over the frames, skipping -1 (unmatched)."""
    matched = matches[matches >= 0]
    return int((matched[1:] != matched[:-1]).sum())


def _match_frames(
    video: Video,
    gts: Sequence[Instance],
    tracks: Sequence[TrackResult],
    min_iou: float,
    same_category: bool,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (G, L) indices of matched tracks, or -1, and the (G, L) visibility of objects."""
    gt_tubes, tubes = read_gt_tubes(video, gts), read_result_tubes(video, tracks)
    gt_categories, categories = (
        np.array([x.category_id for x in group], int) for group in (gts, tracks)
    )
    allowed = (gt_categories[:, None] == categories) | (not same_category)
    matches = np.full((len(gts), video.length), -1)
    present = np.zeros((len(gts), video.length), dtype=bool)
    previous = np.full(len(gts), -1)
    for frame in range(video.length):
        overlaps = frame_ious([t[frame] for t in gt_tubes], [t[frame] for t in tubes])
        present[:, frame] = [t[frame] is not None and t[frame].any() for t in gt_tubes]
        previous = _match_frame(np.where(allowed, overlaps, 0.0), previous, min_iou)
        matches[:, frame] = previous
    return matches, present


def _match_frame(
    ious: NDArray[np.float64], previous: NDArray[np.int64], min_iou: float
) -> NDArray[np.int64]:
    """Match the objects of a frame with its tracks.

    Args:
        ious: (G, D) IoUs in this frame.
        previous: (G,) matches of the previous frame.
        min_iou: minimum IoU of a match.

    Returns:
        (G,) index of the matched track of each object, or -1.
    """
    possible = (ious >= min_iou) & (ious > 0)
    continued = previous[:, None] == np.arange(ious.shape[1])
    gain = np.where(possible, ious + _CONTINUITY_BONUS * continued, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    chosen = possible[rows, columns]
    matched = np.full(len(ious), -1)
    matched[rows[chosen]] = columns[chosen]
    return matched


_MIN_IOU = 0.1  # low, to recognize the poor masks of early checkpoints


def ids_like_gt(
    tubes: Sequence[Tube], gt_tubes: Sequence[Tube], gt_ids: Sequence[int]
) -> list[int]:
    """Return ids for predicted tracks: the id of the matched object, or an unused one.

    Tracks and objects are matched to maximize the sum of tube IoUs, regardless of classes; matches
    have an IoU of at least 0.1.

    Args:
        tubes: D predicted tubes.
        gt_tubes: G ground truth tubes.
        gt_ids: (G,) ids of the objects.
    """
    comparable = np.ones((len(tubes), len(gt_tubes)), dtype=bool)
    ious = tube_overlaps(tubes, gt_tubes, comparable).ious
    ids: dict[int, int] = {}
    for track, gt in zip(*linear_sum_assignment(ious, maximize=True), strict=True):
        if ious[track, gt] >= _MIN_IOU:
            ids[int(track)] = gt_ids[gt]
    unused = count(max(gt_ids, default=0) + 1)
    return [ids[index] if index in ids else next(unused) for index in range(len(tubes))]
