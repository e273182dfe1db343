"""Boxes of things as CSV."""

import csv
import io
from pathlib import Path

from axialvs.inference.segmented_video import SegmentedVideo
from axialvs.utils.files import write_atomically
from axialvs.utils.rle import measure

COLUMNS = ('frame', 'time', 'id', 'class', 'score', 'x', 'y', 'w', 'h')


def write_boxes(path: Path, video: SegmentedVideo) -> None:
    """Write a row per thing and frame in which it is visible, ordered by frame, atomically."""
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    things = [track for track in video.shown if track.is_thing]
    for frame, time in video.times.items():
        for track in things:
            if rle := track.segmentations[frame]:
                box = [int(x) for x in measure(rle)[1]]
                name = video.class_names[track.label]
                writer.writerow((frame, f'{time:.6f}', track.id, name, f'{track.score:.4f}', *box))
    write_atomically(path, text.getvalue().encode())
