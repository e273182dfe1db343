"""Writes the tracks of a video as JSON: what it shows, what the categories are, who is where."""

import json
from collections.abc import Sequence
from pathlib import Path

from axialvs.structures import Track
from axialvs.utils.files import write_atomically


def write_tracks(
    path: str | Path,
    tracks: Sequence[Track],
    video: dict,
    class_names: Sequence[str],
    category_ids: Sequence[int],
) -> None:
    """Writes aside and renames, so that a file is whole or not there.

    Args:
        path: where to.
        tracks: the tracks of the video.
        video: what is said about the video itself.
        class_names: name of each label.
        category_ids: id of each label in the file.
    """
    content = {
        'video': video,
        'categories': [
            {'id': category_id, 'name': name}
            for category_id, name in zip(category_ids, class_names, strict=True)
        ],
        'tracks': [
            {
                'id': track.id,
                'category_id': category_ids[track.label],
                'score': track.score,
                'segmentations': track.segmentations,
            }
            for track in tracks
        ],
    }
    write_atomically(path, json.dumps(content).encode())
