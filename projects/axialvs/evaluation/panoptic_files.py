"""Read panoptic predictions in VIPSeg's layout and compare them with the ground truth."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import (
    VOID,
    PanopticSegmentation,
    PanopticVideo,
    open_panoptic,
    read_ids,
    read_panoptic_videos,
)
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.evaluation.panoptic_counts import count_pairs

_MAX_IDS_SHOWN = 5


def read_predictions(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    ground_truth: PanopticSegmentation,
) -> PanopticSegmentation:
    """Read a JSON file of predictions with the same videos and frames as the ground truth.

    Args:
        path: the JSON file.
        folder: the folder of its PNGs.
        ground_truth: the ground truth, which defines the categories.

    Raises:
        FileNotFoundError: if the file or the folder does not exist.
        AnnotationError: if the file is invalid, or a video or frame is missing or unknown.
    """
    path, folder, content = open_panoptic(path, folder)
    by_id = {video.id: video for video in read_panoptic_videos(content, ground_truth.categories)}
    _check_same(path, 'video', [video.id for video in ground_truth.videos], by_id, ground_truth)
    videos = tuple(
        _in_order(by_id[video.id], video, path, ground_truth) for video in ground_truth.videos
    )
    return PanopticSegmentation(path, folder, ground_truth.categories, videos)


def _in_order(
    video: PanopticVideo, gt: PanopticVideo, path: str, ground_truth: PanopticSegmentation
) -> PanopticVideo:
    segments = dict(zip(video.file_names, video.segments, strict=True))
    _check_same(f'{path}: video {video.id}', 'frame', gt.file_names, segments, ground_truth)
    ordered = tuple(segments[name] for name in gt.file_names)
    return PanopticVideo(video.id, gt.file_names, ordered, video.categories, video.crowds)


def _check_same(
    place: str,
    noun: str,
    expected: Collection[str],
    actual: Mapping[str, Any],
    ground_truth: PanopticSegmentation,
) -> None:
    for problem, names in (
        (
            'is missing; predict all of the ground truth',
            set(expected) - set(actual),
        ),
        ('is unknown; evaluate with the matching ground truth', set(actual) - set(expected)),
    ):
        if names:
            more = f' (and {len(names) - 1} more)' if len(names) > 1 else ''
            raise AnnotationError(
                f'{place}: {noun} {min(names)!r}{more} {problem}, {ground_truth.path}.'
            )


def read_overlaps(
    gt: PanopticSegmentation, predictions: PanopticSegmentation, index: int
) -> Iterator[NDArray[np.int64]]:
    """Read the PNGs of a video, one pair at a time, and count intersections.

    Args:
        gt: the ground truth.
        predictions: the predictions.
        index: index of the video.

    Yields:
        The (G + 1, P + 1) counts of each frame, see `PairCounts.table`.

    Raises:
        FileNotFoundError: if a PNG is missing.
        AnnotationError: if a PNG is invalid, or does not match the JSON file or the other PNG.
    """
    sides = gt, predictions
    ids = [sorted(side.videos[index].categories) for side in sides]
    for frame, name in enumerate(gt.videos[index].file_names):
        maps = [_read_frame(side, index, frame) for side in sides]
        if maps[0].shape != maps[1].shape:
            (height, width), (other_height, other_width) = (ids.shape for ids in maps)
            raise AnnotationError(
                f'{_path(predictions, index, frame)}: video {gt.videos[index].id}, frame {name}: '
                f'{other_width}x{other_height} pixels, but the ground truth has {width}x{height}; '
                'resize predictions to the size of the ground truth.'
            )
        counts = count_pairs(*maps)
        _check_ids(gt, index, frame, counts.gt_ids)
        _check_ids(predictions, index, frame, counts.pred_ids)
        yield counts.table(*ids)


def _path(side: PanopticSegmentation, index: int, frame: int) -> str:
    video = side.videos[index]
    return os.path.join(side.folder, video.id, video.file_names[frame])


def _read_frame(side: PanopticSegmentation, index: int, frame: int) -> NDArray[np.uint32]:
    path = _path(side, index, frame)
    try:
        return read_ids(path)
    except FileNotFoundError as error:
        video = side.videos[index]
        raise FileNotFoundError(
            f'{path}: no such file; it is frame {video.file_names[frame]} of video {video.id} in '
            f'{side.path}. Use the folder that contains one folder per video.'
        ) from error


def _check_ids(side: PanopticSegmentation, index: int, frame: int, ids: NDArray[np.int64]) -> None:
    video = side.videos[index]
    listed = video.segments[frame]
    present = set(ids.tolist()) - {VOID}
    if present == listed:
        return
    wrong, problem = (
        (present - listed, f'in the PNG, but not in segments_info of {side.path}')
        if present - listed
        else (listed - present, f'in segments_info of {side.path}, but not in the PNG')
    )
    shown = ', '.join(str(i) for i in sorted(wrong)[:_MAX_IDS_SHOWN])
    more = f' and {len(wrong) - _MAX_IDS_SHOWN} more' if len(wrong) > _MAX_IDS_SHOWN else ''
    raise AnnotationError(
        f'{_path(side, index, frame)}: video {video.id}, frame {video.file_names[frame]}: ids '
        f'{shown}{more}: {problem}. Both must have the same ids = R + 256 G + 65536 B, with 0 for '
        'void.'
    )
