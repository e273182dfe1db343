"""Splits a data set of videos in two, so that both parts have all classes where they can."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.youtube_vis import VideoAnnotations
from axialvs.utils.errors import AxialVSError

NO_OBJECT = -1  # stands for a class: that of the videos that show no object of any
# Above any other gain: a class that the hold-out part lacks counts before all others.
_FIRST_VIDEO = 1e3
# A pass over the videos never goes back: another order may find room for a class that had none.
_ORDERS = 20


def classes_of_videos(annotations: VideoAnnotations) -> dict[int, set[int]]:
    """Video id -> ids of the categories that it shows, or `NO_OBJECT` alone.

    Crowds, and instances that are visible nowhere, show nothing.
    """
    return {
        video_id: {
            instance.category_id
            for instance in instances
            if not instance.iscrowd and instance.visible.any()
        }
        or {NO_OBJECT}
        for video_id, instances in annotations.instances_by_video().items()
    }


def choose_holdout(
    classes: Mapping[int, Collection[int]], share: float, seed: int = 0
) -> list[int]:
    """Chooses the videos of the hold-out part.

    Videos are taken one by one, each time the one whose classes are the furthest from their share;
    first come classes that the part lacks. None is taken whose class would be left without a video
    in the other part. The choice depends on ids, classes, share and seed, not on the order of the
    file.

    Args:
        classes: Video id -> its classes, at least one.
        share: Of the videos, between 0 and 1; more are taken where classes would be missing.
        seed: Another seed gives another choice.

    Returns:
        Ids of the chosen videos, rising.

    Raises:
        ValueError: The share is not between 0 and 1, or a part would have no video.
    """
    if not 0 < share < 1:
        raise AxialVSError(f'share {share:g}: a number between 0 and 1 is needed, as 0.1.')
    wanted = max(1, round(share * len(classes)))
    if wanted >= len(classes):
        raise AxialVSError(
            f'share {share:g} of {len(classes)} videos leaves nothing to train on; give a smaller '
            'share or more videos.'
        )
    best: list[int] = []
    fewest = None
    for attempt in range(_ORDERS):
        videos = _shuffled(classes, f'{seed}:{attempt}')
        shown = _shown(videos, classes)
        chosen = _choose(shown, wanted, share, eager=attempt == 0)
        lacking = int(((shown.sum(0) > 1) & ~shown[chosen].any(0)).sum())
        if fewest is None or lacking < fewest:
            best, fewest = [videos[index] for index in chosen], lacking
        if not lacking:
            break
    if not best:
        raise AxialVSError(
            f'each of the {len(classes)} videos is the only one of some class, so that none can be '
            'held out without losing the class in training.'
        )
    return sorted(best)


def _shuffled(videos: Iterable[int], salt: str) -> list[int]:
    """The videos by a hash of their ids: a shuffle that no version of a library changes."""
    return sorted(videos, key=lambda video: hashlib.sha256(f'{salt}:{video}'.encode()).digest())


def _shown(videos: list[int], classes: Mapping[int, Collection[int]]) -> NDArray[np.bool_]:
    """(V, N): whether a video shows a class, for all classes by rising id."""
    known = sorted(set().union(*classes.values()))
    return np.array([[name in classes[video] for name in known] for video in videos])


def _choose(shown: NDArray[np.bool_], wanted: int, share: float, eager: bool) -> list[int]:
    """Indices of the hold-out videos, in the order of their choice.

    Args:
        shown: (V, N), see `_shown`.
        wanted: How many; more where classes would be missing.
        share: Of the videos of each class that is aimed at.
        eager: Whether a video that brings several classes that the part lacks goes before one that
            brings one. The part stays smaller, but classes may block each other.
    """
    totals = shown.sum(0)
    free = np.ones(len(shown), dtype=bool)
    chosen: list[int] = []
    while True:
        here = shown[chosen].sum(0)
        movable = free & ~(shown & (totals - here <= 1)).any(1)
        lacking = here == 0
        if len(chosen) >= wanted:
            movable &= (shown & lacking).any(1)
        if not movable.any():
            return chosen
        gains = (share * totals - here) / (share * totals)
        new = (shown & lacking).sum(1)
        scores = (shown * gains).sum(1) / shown.sum(1)
        scores = scores + _FIRST_VIDEO * new if eager else np.where(new, _FIRST_VIDEO, scores)
        index = int(np.argmax(np.where(movable, scores, -np.inf)))
        chosen.append(index)
        free[index] = False


def part_of_file(content: Mapping[str, Any], video_ids: Collection[int]) -> dict[str, Any]:
    """A file of the YouTube-VIS layout with some of its videos, all else as it is.

    Args:
        content: The whole file.
        video_ids: The videos to keep.
    """
    kept = set(video_ids)
    return {
        **content,
        'videos': [video for video in content['videos'] if video['id'] in kept],
        'annotations': [one for one in content['annotations'] if one['video_id'] in kept],
    }
