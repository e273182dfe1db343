"""Split of a dataset of videos in two parts that both have all classes if possible."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import SPLIT_PARTS
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically

NO_OBJECT = -1  # the class of videos without an object
# Above any other gain: a class that the hold-out part lacks comes before all others.
_FIRST_VIDEO = 1e3
# The greedy choice never goes back: another order may find room for a class that had none.
_ORDERS = 20


def classes_of_videos(annotations: VideoAnnotations) -> dict[int, set[int]]:
    """Return for every video id the ids of the categories that it shows, or `NO_OBJECT`.

    Crowds and instances that are never visible do not count.
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
    """Choose the videos of the hold-out part.

    Videos are taken greedily, each time the one whose classes are the furthest from their share;
    classes that the part lacks come first. A video is never taken if it is the last one of a class
    in the main part. The choice depends on ids, classes, share and seed, not on the order of the
    file.

    Args:
        classes: video id -> its classes, at least one.
        share: fraction of the videos, between 0 and 1; more are taken if classes would be missing.
        seed: of the choice.

    Returns:
        Ascending ids of the chosen videos.

    Raises:
        AxialVSError: if the share is not between 0 and 1, or a part would have no video.
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
    """Sort the videos by a hash of their ids, so that no library version changes the order."""
    return sorted(videos, key=lambda video: hashlib.sha256(f'{salt}:{video}'.encode()).digest())


def _shown(videos: list[int], classes: Mapping[int, Collection[int]]) -> NDArray[np.bool_]:
    """Return (V, N): whether a video shows a class, for all classes by ascending id."""
    known = sorted(set().union(*classes.values()))
    return np.array([[name in classes[video] for name in known] for video in videos])


def _choose(shown: NDArray[np.bool_], wanted: int, share: float, eager: bool) -> list[int]:
    """Return the indices of the hold-out videos, in the order of their choice.

    Args:
        shown: (V, N), see `_shown`.
        wanted: number of videos; more are taken if classes would be missing.
        share: target fraction of the videos of each class.
        eager: whether a video with several missing classes comes before one with a single missing
            class. The part stays smaller, but classes may block each other.
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


def part_paths(path: Path, folder: Path | None = None) -> dict[str, Path]:
    """Return the files of the parts, next to the file that is split or in a different folder."""
    folder = folder or path.parent
    return {part: folder / f'{path.stem}_{part}{path.suffix}' for part in SPLIT_PARTS}


def write_parts(
    content: Mapping[str, Any], videos: Mapping[str, Collection[int]], paths: Mapping[str, Path]
) -> None:
    """Write files with some videos of a file each and everything else unchanged: all or none.

    Args:
        content: the whole file.
        videos: the ids of each part.
        paths: the file of each part.

    Raises:
        OSError: if a file cannot be written; those that were written are removed.
    """
    written: list[Path] = []
    try:
        for part, path in paths.items():
            kept = set(videos[part])
            of_part = {
                **content,
                'videos': [video for video in content['videos'] if video['id'] in kept],
                'annotations': [one for one in content['annotations'] if one['video_id'] in kept],
            }
            write_atomically(path, json.dumps(of_part).encode())
            written.append(path)
    except OSError:
        for path in written:
            path.unlink()
        raise
