"""Reads panoptic predictions and compares them with the ground truth, frame by frame."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


def read_predictions(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    ground_truth: PanopticSegmentation,
) -> PanopticSegmentation:
    """Reads the JSON file of predictions; they have to have the ground truth's videos and frames.

    Args:
        path: The JSON file.
        folder: The folder of its PNGs.
        ground_truth: What they will be compared with; the categories are its own.

    Raises:
        FileNotFoundError: There is no such file or folder.
        AnnotationError: Something in the file is wrong, or a video or frame is missing or unknown.
    """
    path, folder, content = open_panoptic(path, folder)
    found = {video.id: video for video in read_panoptic_videos(content, ground_truth.categories)}
    _check_same(path, 'video', [video.id for video in ground_truth.videos], found, ground_truth)
    videos = tuple(
        _in_order(found[video.id], video, path, ground_truth) for video in ground_truth.videos
    )
    return PanopticSegmentation(path, folder, ground_truth.categories, videos)


def _in_order(
    video: PanopticVideo, truth: PanopticVideo, path: str, ground_truth: PanopticSegmentation
) -> PanopticVideo:
    segments = dict(zip(video.file_names, video.segments, strict=True))
    _check_same(f'{path}: video {video.id}', 'frame', truth.file_names, segments, ground_truth)
    ordered = tuple(segments[name] for name in truth.file_names)
    return PanopticVideo(video.id, truth.file_names, ordered, video.categories, video.crowds)


def _check_same(
    place: str,
    noun: str,
    expected: Any,
    found: Mapping[str, Any],
    ground_truth: PanopticSegmentation,
) -> None:
    for problem, names in (
        ('is missing; predict all that the ground truth has', set(expected) - set(found)),
        ('is unknown; score it with the ground truth that has it', set(found) - set(expected)),
    ):
        if names:
            more = f' (and {len(names) - 1} more)' if len(names) > 1 else ''
            raise AnnotationError(
                f'{place}: {noun} {min(names)!r}{more} {problem}, {ground_truth.path}.'
            )


_ID_BITS = 24
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Tubes:
    """The tubes of a video: G of the ground truth and P predicted ones.

    Attributes:
        truth_classes: (G,) index of each tube's class, from 0.
        predicted_classes: (P,) likewise.
        crowd: (G,) whether the tube stands for a group that is not taken apart.
    """

    truth_classes: NDArray[np.int64]
    predicted_classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]


def tubes_of(truth: PanopticSegmentation, predictions: PanopticSegmentation, index: int) -> Tubes:
    """The tubes of a video, by rising id; classes in the order of the categories.

    Args:
        truth: The ground truth.
        predictions: What it is compared with.
        index: Of the video.
    """
    classes = {category.id: place for place, category in enumerate(truth.categories)}
    of_truth, predicted = (
        np.array([classes[video.categories[i]] for i in sorted(video.categories)], dtype=np.int64)
        for video in (truth.videos[index], predictions.videos[index])
    )
    video = truth.videos[index]
    crowd = np.array([i in video.crowds for i in sorted(video.categories)], dtype=bool)
    return Tubes(of_truth, predicted, crowd)


def read_overlaps(
    truth: PanopticSegmentation, predictions: PanopticSegmentation, index: int
) -> Iterator[NDArray[np.int64]]:
    """Reads a video's PNGs, two at a time, and counts.

    Args:
        truth: The ground truth.
        predictions: What it is compared with.
        index: Of the video.

    Yields:
        For each frame (G + 1, P + 1) numbers of pixels: those of each tube of the ground truth,
        by rising id, that belong to each predicted one. The first row and column are void.

    Raises:
        FileNotFoundError: A PNG is missing.
        AnnotationError: A PNG is broken, or does not fit to the JSON or to the other PNG.
    """
    ids = [
        np.array([VOID, *sorted(side.videos[index].categories)]) for side in (truth, predictions)
    ]
    for frame, name in enumerate(truth.videos[index].file_names):
        sides = [_read_frame(side, index, frame) for side in (truth, predictions)]
        if sides[0].shape != sides[1].shape:
            (height, width), (other_height, other_width) = (side.shape for side in sides)
            raise AnnotationError(
                f'{_path(predictions, index, frame)}: video {truth.videos[index].id}, frame {name}:'
                f' {other_width}x{other_height} pixels where the ground truth has {width}x{height}.'
                ' Write predictions at the size of the ground truth.'
            )
        *pairs, pixels = shared_pixels(*sides)
        for side, present in zip((truth, predictions), pairs, strict=True):
            _check_ids(side, index, frame, present)
        shared = np.zeros([len(x) for x in ids], dtype=np.int64)
        places = [np.searchsorted(*x) for x in zip(ids, pairs, strict=True)]
        shared[tuple(places)] = pixels
        yield shared


def shared_pixels(
    truth: NDArray[np.uint32], predicted: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Counts the pairs of ids that two maps have in the same pixels.

    Segments are large, so pixels come in runs of the same pair: counting runs takes a fraction of
    the time of sorting pixels.

    Args:
        truth: (H, W) ids below 2^24.
        predicted: (H, W) likewise.

    Returns:
        For each of R pairs the id in `truth`, the id in `predicted` and the number of pixels.
    """
    truth, predicted = truth.ravel(), predicted.ravel()
    changes = (truth[1:] != truth[:-1]) | (predicted[1:] != predicted[:-1])
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(starts, append=truth.size)
    keys = (truth[starts].astype(np.int64) << _ID_BITS) | predicted[starts]
    pairs, owners = np.unique(keys, return_inverse=True)
    pixels = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(pixels, owners, lengths)
    return pairs >> _ID_BITS, pairs & ((1 << _ID_BITS) - 1), pixels


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
            f'{side.path}. The folder to give is the one of the folders of videos.'
        ) from error


def _check_ids(
    side: PanopticSegmentation, index: int, frame: int, present: NDArray[np.int64]
) -> None:
    video = side.videos[index]
    listed = video.segments[frame]
    seen = set(present.tolist()) - {VOID}
    if seen == listed:
        return
    place = f'{_path(side, index, frame)}: video {video.id}, frame {video.file_names[frame]}'
    wrong, problem = (
        (seen - listed, f'in the picture and not in segments_info of {side.path}')
        if seen - listed
        else (listed - seen, f'in segments_info of {side.path} and not in the picture')
    )
    some = ', '.join(str(i) for i in sorted(wrong)[:_MAX_NAMED])
    more = f' and {len(wrong) - _MAX_NAMED} more' if len(wrong) > _MAX_NAMED else ''
    raise AnnotationError(
        f'{place}: ids {some}{more}: {problem}. Both have to come from the same segments, '
        'with id = R + 256 G + 65536 B, and 0 for void.'
    )
