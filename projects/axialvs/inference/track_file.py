"""Write the tracks of a video as JSON."""

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
    """Write `{video, categories, tracks}` atomically.

    Args:
        path: of the file.
        tracks: of the video.
        video: information about the video.
        class_names: of the labels.
        category_ids: of the labels.
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
                **({} if track.is_thing else {'is_thing': False}),
            }
            for track in tracks
        ],
    }
    write_atomically(path, json.dumps(content).encode())
