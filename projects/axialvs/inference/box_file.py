"""Boxes of things as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from axialvs.structures import Track
from axialvs.utils.files import write_atomically
from axialvs.utils.rle import measure

COLUMNS = ('frame', 'time', 'id', 'class', 'score', 'x', 'y', 'w', 'h')


def write_boxes(
    path: str | Path,
    tracks: Sequence[Track],
    times: Mapping[int, float],
    class_names: Sequence[str],
) -> None:
    """Write a row per thing and frame in which it is visible, in order of frames, atomically.

    Args:
        path: of the file.
        tracks: of the video.
        times: seconds of each frame, by position in the source.
        class_names: of the labels.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    things = [track for track in tracks if track.is_thing]
    for frame, time in times.items():
        for track in things:
            if rle := track.segmentations[frame]:
                box = [int(x) for x in measure(rle)[1]]
                name = class_names[track.label]
                writer.writerow((frame, f'{time:.6f}', track.id, name, f'{track.score:.4f}', *box))
    write_atomically(path, text.getvalue().encode())
