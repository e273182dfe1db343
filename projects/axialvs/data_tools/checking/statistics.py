"""Numbers that describe a data set: classes, lengths, sizes."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from axialvs.data_tools.checking.contents import Contents

# Upper ends of a histogram's bins; the last bin is open.
_LENGTHS = (1, 4, 8, 16, 24, 36, 60, 100, 200)
_OBJECTS = (0, 1, 2, 4, 8, 16)
# Mean pixels of a track where it is seen, as scores by size have it.
_SIZES = {'small': 128**2, 'medium': 256**2, 'large': float('inf')}


def statistics(contents: Contents, mean_areas: Sequence[float]) -> dict[str, Any]:
    """Counts and histograms, with plain values for JSON.

    Args:
        contents: The file.
        mean_areas: Of every track, see `check_tracks`.
    """
    tracks = contents.tracks or ()
    per_video = Counter(track.video.id for track in tracks)
    lengths = [video.length for video in contents.videos]
    sizes = Counter(f'{video.width}x{video.height}' for video in contents.videos)
    return {
        'videos': len(contents.videos),
        'frames': sum(lengths),
        'instances': len(tracks),
        'masks': sum(int(track.visible.sum()) for track in tracks),
        'frame_sizes': dict(sizes.most_common()),
        'lengths': _spread(lengths) | {'histogram': _histogram(lengths, _LENGTHS)},
        'instances_per_video': _histogram([per_video[v.id] for v in contents.videos], _OBJECTS),
        'instance_sizes': _by_size(mean_areas),
        'classes': _classes(contents),
    }


def _classes(contents: Contents) -> list[dict[str, Any]]:
    """Of every category how many instances, videos and masks it has, the most frequent first."""
    instances, masks = Counter(), Counter()
    videos = defaultdict(set)
    for track in contents.tracks or ():
        instances[track.category_id] += 1
        masks[track.category_id] += int(track.visible.sum())
        videos[track.category_id].add(track.video.id)
    table = [
        {
            'id': category.id,
            'name': category.name,
            'instances': instances[category.id],
            'videos': len(videos[category.id]),
            'masks': masks[category.id],
        }
        for category in contents.categories
    ]
    return sorted(table, key=lambda row: -row['instances'])


def _by_size(mean_areas: Sequence[float]) -> dict[str, int]:
    seen = [area for area in mean_areas if area]
    counts = np.searchsorted(list(_SIZES.values()), seen, side='left')
    return {name: int((counts == index).sum()) for index, name in enumerate(_SIZES)}


def _spread(values: Sequence[int]) -> dict[str, float]:
    if not values:
        return {}
    return {
        'min': min(values),
        'median': float(np.median(values)),
        'mean': round(float(np.mean(values)), 1),
        'max': max(values),
    }


def _histogram(values: Sequence[int], ends: Sequence[int]) -> dict[str, int]:
    """How many values are in each bin; empty bins at either end are left out."""
    bins = np.searchsorted(ends, values, side='left')
    names = [
        f'{end}' if end == before + 1 else f'{before + 1}-{end}'
        for before, end in zip((-1, *ends), ends, strict=False)
    ]
    names.append(f'{ends[-1] + 1}+')
    counts = np.bincount(bins, minlength=len(names)) if len(values) else np.zeros(len(names), int)
    used = np.flatnonzero(counts)
    if not used.size:
        return {}
    return {names[index]: int(counts[index]) for index in range(used[0], used[-1] + 1)}
