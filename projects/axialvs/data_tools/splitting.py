"""Split a video dataset into two parts that both contain all classes if possible."""

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

NO_OBJECT = -1  # class of videos without objects
# Larger than any other gain, so that classes missing from the hold-out part have priority.
_FIRST_VIDEO = 1e3
# Greedy selection does not backtrack, so a different order may cover a class that was missed.
_ORDERS = 20


def classes_of_videos(annotations: VideoAnnotations) -> dict[int, set[int]]:
    """Return the category ids in each video by video id, or `NO_OBJECT`.

    Crowds and instances that are never visible are ignored.
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
    """Select the videos of the hold-out part.

    Videos are selected greedily by how far their classes are below the target share; classes that
    are missing from the hold-out part have priority. The last video of a class in the main part is
    never selected. The selection depends on ids, classes, share and seed, but not on file order.

    Args:
        classes: classes of each video by video id, at least one per video.
        share: fraction of the videos, between 0 and 1; exceeded if classes would be missing.
        seed: random seed.

    Returns:
        Ids of the selected videos in ascending order.

    Raises:
        AxialVSError: if the share is not between 0 and 1, or a part would be empty.
    """
    if not 0 < share < 1:
        raise AxialVSError(f'share {share:g}: must be between 0 and 1, such as 0.1.')
    wanted = max(1, round(share * len(classes)))
    if wanted >= len(classes):
        raise AxialVSError(
            f'share {share:g} of {len(classes)} videos leaves no videos for training; use a '
            'smaller share or more videos.'
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
            f'each of the {len(classes)} videos is the only one of some class, so holding it out '
            'would remove the class from training; add videos of these classes.'
        )
    return sorted(best)


def _shuffled(videos: Iterable[int], salt: str) -> list[int]:
    """Sort the videos by a hash of their ids, so that the order is the same in all versions."""
    return sorted(videos, key=lambda video: hashlib.sha256(f'{salt}:{video}'.encode()).digest())


def _shown(videos: list[int], classes: Mapping[int, Collection[int]]) -> NDArray[np.bool_]:
    """Return (V, N): whether a video contains a class, for all classes by ascending id."""
    known = sorted(set().union(*classes.values()))
    return np.array([[name in classes[video] for name in known] for video in videos])


def _choose(shown: NDArray[np.bool_], wanted: int, share: float, eager: bool) -> list[int]:
    """Return the indices of the hold-out videos, in the order of selection.

    Args:
        shown: (V, N) whether a video contains a class, see `_shown`.
        wanted: number of videos; exceeded if classes would be missing.
        share: target fraction of the videos of each class.
        eager: whether to prefer videos with several missing classes to those with one. The part
            stays smaller, but classes may block each other.
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
    """Return the paths of the parts, in the folder of the input file or in `folder`."""
    folder = folder or path.parent
    return {part: folder / f'{path.stem}_{part}{path.suffix}' for part in SPLIT_PARTS}


def write_parts(
    content: Mapping[str, Any], videos: Mapping[str, Collection[int]], paths: Mapping[str, Path]
) -> None:
    """Write one annotation file per part, with all other fields unchanged.

    Args:
        content: content of the input file.
        videos: video ids of each part.
        paths: output file of each part.

    Raises:
        OSError: if a file cannot be written; files already written are removed.
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
