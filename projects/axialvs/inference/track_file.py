"""Writes the tracks of a video as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axialvs.structures import Track
from axialvs.utils.files import write_atomically
from axialvs.utils.rle import measure


def write_tracks(
    path: str | Path,
    tracks: Sequence[Track],
    video: dict[str, Any],
    class_names: Sequence[str],
    category_ids: Sequence[int],
    model: dict[str, Any],
) -> None:
    """Write `{video, model, categories, tracks}` atomically.

    Args:
        path: of the file.
        tracks: of the video.
        video: description of the video.
        class_names: of the labels.
        category_ids: of the labels.
        model: description of the model.
    """
    content = {
        'video': video,
        'model': model,
        'categories': [
            {'id': category_id, 'name': name}
            for category_id, name in zip(category_ids, class_names, strict=True)
        ],
        'tracks': [
            {
                'id': track.id,
                'category_id': category_ids[track.label],
                'category': class_names[track.label],
                'score': track.score,
                'segmentations': track.segmentations,
                'bboxes': [None if rle is None else measure(rle)[1] for rle in track.segmentations],
                'is_thing': track.is_thing,
            }
            for track in tracks
        ],
    }
    write_atomically(path, json.dumps(content).encode())
