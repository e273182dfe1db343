"""Class-agnostic J&F of DAVIS: region similarity and contour accuracy of objects.

Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR
2016. Tracks are assigned to objects as in the unsupervised challenge: Caelles et al., The 2019
DAVIS Challenge on VOS, 2019.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from rlemasklib import RLEMask
from scipy.optimize import linear_sum_assignment

from axialvs.datasets.annotations.youtube_vis import VideoAnnotations
from axialvs.evaluation.results import (
    TrackResult,
    read_gt_tubes,
    read_result_tubes,
    results_by_video,
)
from axialvs.evaluation.tube_iou import Tube, frame_ious

MAX_TRACKS = 20  # highest-scoring tracks evaluated per video, as in the challenge
_TOLERANCE = 0.008  # maximum distance of matching boundaries, as a fraction of the frame's diagonal


class _Contour(NamedTuple):
    boundary: NDArray[np.bool_]  # (H, W)
    near: NDArray[np.bool_]  # (H, W) pixels within the tolerance


def evaluate_davis(
    annotations: VideoAnnotations, results: Sequence[TrackResult]
) -> dict[str, float]:
    """Compute J, F and their mean, J&F, averaged over the objects of all videos without crowds.

    Args:
        annotations: the ground truth.
        results: the detected tracks; their classes are ignored.

    Raises:
        AnnotationError: if the ground truth has no annotations, or a segmentation is invalid.
        ResultsError: if the segmentation of a track is invalid.
    """
    annotations.require_instances()
    instances = annotations.instances_by_video()
    tracks = results_by_video(annotations, sorted(results, key=lambda result: -result.score))
    scores = [np.zeros((0, 2))]
    for video in annotations.videos:
        gts = read_gt_tubes(video, [x for x in instances[video.id] if not x.iscrowd])
        tubes = read_result_tubes(video, tracks[video.id][:MAX_TRACKS])
        scores.append(object_scores(gts, tubes, (video.height, video.width)))
    pooled = np.concatenate(scores)
    if not len(pooled):
        return {'J&F': -1.0, 'J': -1.0, 'F': -1.0}
    j, f = pooled.mean(0).tolist()
    return {'J&F': (j + f) / 2, 'J': j, 'F': f}


def object_scores(
    gts: Sequence[Tube], tracks: Sequence[Tube], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Compute J and F of each object, for the one-to-one assignment that maximizes the sum of J&F.

    Objects without a track are compared with empty masks.

    Args:
        gts: G ground truth tubes.
        tracks: D detected tubes.
        size: (height, width) of the video.

    Returns:
        (G, 2) J and F.
    """
    length = len([*gts, *tracks][0]) if gts else 0
    tracks = [*tracks, *[[None] * length] * max(0, len(gts) - len(tracks))]
    scores = np.zeros((len(gts), len(tracks), 2))
    for frame in range(length):
        masks, others = ([tube[frame] for tube in tubes] for tubes in (gts, tracks))
        contours = [_contour(mask, size) for mask in masks]
        other_contours = [_contour(mask, size) for mask in others]
        both_empty = np.outer(*([x is None for x in side] for side in (contours, other_contours)))
        scores[..., 0] += np.where(both_empty, 1.0, frame_ious(masks, others))
        scores[..., 1] += [[contour_f(a, b) for b in other_contours] for a in contours]
    scores /= max(1, length)
    return scores[linear_sum_assignment(scores.sum(-1), maximize=True)]


def contour_f(contour: _Contour | None, other: _Contour | None) -> float:
    """Compute the F-measure of two boundaries, which are None for empty masks."""
    if contour is None or other is None:
        return float(contour is other)
    matched, other_matched = (
        (a.boundary & b.near).sum() / max(1, a.boundary.sum())
        for a, b in ((contour, other), (other, contour))
    )
    return 2 * matched * other_matched / max(1e-12, matched + other_matched)


def _contour(mask: RLEMask | None, size: tuple[int, int]) -> _Contour | None:
    """Extract the pixels that differ from their right, lower or lower right neighbor."""
    if mask is None or not mask.any():
        return None
    pixels = np.pad(np.asarray(mask).astype(bool), ((0, 1), (0, 1)), mode='edge')
    here = pixels[:-1, :-1]
    boundary = (here ^ pixels[:-1, 1:]) | (here ^ pixels[1:, :-1]) | (here ^ pixels[1:, 1:])
    radius = int(np.ceil(_TOLERANCE * np.hypot(*size)))
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.uint8)
    return _Contour(boundary, cv2.dilate(boundary.astype(np.uint8), disk).astype(bool))
