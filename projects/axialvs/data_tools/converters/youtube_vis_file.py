"""Writes labelled videos as an annotation file in the official YouTube-VIS layout."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as mask_utils

from axialvs.data_tools.converters.labelled_video import (
    ConversionError,
    LabelledVideo,
    LeftOut,
    Track,
)
from axialvs.utils.files import write_atomically


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds.

    Attributes:
        videos: Number of videos.
        frames: Number of frames of all videos.
        objects: Number of objects of each class, in the order of the classes.
        masks: Number of masks of each class.
    """

    videos: int
    frames: int
    objects: dict[str, int]
    masks: dict[str, int]


def write_youtube_vis(
    path: Path,
    videos: Iterable[LabelledVideo],
    classes: Sequence[str],
    left_out: LeftOut,
    source: str,
) -> Written:
    """Writes the file aside and renames it; ids count from 1 in the order given.

    Objects without a pixel in the frames of their video are left out, and counted.

    Args:
        path: The file.
        videos: What is to be written.
        classes: Names of all classes in the order of their labels. A class may have no object:
            files that are trained and tested together have the same classes.
        left_out: Is added to.
        source: What the videos were converted from, for the file's `info`.

    Raises:
        ConversionError: There is nothing to write, or two videos have the same name.
        OSError: The file cannot be written.
    """
    category_ids = {name: number for number, name in enumerate(classes, start=1)}
    entries: list[dict] = []
    annotations: list[dict] = []
    masks: Counter = Counter()
    names: set[str] = set()
    for video in videos:
        if video.name in names:
            raise ConversionError(f'two videos are called {video.name!r}; rename one of them')
        names.add(video.name)
        entries.append(_video_entry(len(entries) + 1, video))
        for track in video.tracks:
            fields = _mask_fields(track)
            if not any(fields['areas']):
                left_out.add('objects without a pixel', f'{video.name}/{track.name}')
                continue
            masks[track.category] += sum(area is not None for area in fields['areas'])
            ids = {
                'id': len(annotations) + 1,
                'video_id': len(entries),
                'category_id': category_ids[track.category],
                'iscrowd': int(track.iscrowd),
                'track': track.name,
            }
            annotations.append(ids | fields | _size_of(video))
    if not annotations:
        raise ConversionError(
            f'{source}: has no object in the {len(entries)} videos that were read'
        )
    categories = [{'id': number, 'name': name} for name, number in category_ids.items()]
    content = {
        'info': {'description': f'converted from {source}'},
        'videos': entries,
        'categories': categories,
        'annotations': annotations,
    }
    write_atomically(path, json.dumps(content).encode())
    of_class = Counter(annotation['category_id'] for annotation in annotations)
    return Written(
        len(entries),
        sum(entry['length'] for entry in entries),
        {name: of_class[number] for name, number in category_ids.items()},
        {name: masks[name] for name in category_ids},
    )


def _size_of(video: LabelledVideo) -> dict[str, int]:
    return {'width': video.width, 'height': video.height, 'length': len(video.file_names)}


def _video_entry(number: int, video: LabelledVideo) -> dict[str, Any]:
    return {
        'id': number,
        'name': video.name,
        'file_names': list(video.file_names),
        **_size_of(video),
    }


def _mask_fields(track: Track) -> dict[str, list]:
    """Segmentations, areas and boxes, with None where the object has no pixel."""
    fields: dict[str, list] = {'segmentations': [], 'areas': [], 'bboxes': []}
    for rle in track.masks:
        area = 0 if rle is None else int(mask_utils.area(rle))
        visible = area > 0
        text = {'size': list(rle['size']), 'counts': rle['counts'].decode()} if visible else None
        fields['segmentations'].append(text)
        fields['areas'].append(area if visible else None)
        fields['bboxes'].append(mask_utils.toBbox(rle).tolist() if visible else None)
    return fields
