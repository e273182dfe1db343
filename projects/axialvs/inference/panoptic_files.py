"""Panoptic segments in VIPSeg's submission layout: `pred.json` and `pan_pred/VIDEO/FRAME.png`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axialvs.datasets.annotations.panoptic import ids_to_rgb, segments_info
from axialvs.inference.mask_files import IdPainter, save_image
from axialvs.structures import Size, Track
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically

JSON_NAME, IMAGE_FOLDER = 'pred.json', 'pan_pred'


def read_submission(folder: Path) -> dict[str, Any]:
    """Read `pred.json`; empty lists if there is none.

    Raises:
        AxialVSError: it was not written by `write_panoptic`.
    """
    path = folder / JSON_NAME
    if not path.exists():
        return {'categories': [], 'annotations': []}
    try:
        content = json.loads(path.read_bytes())
        for video in content['annotations']:
            video['video_id'], video['annotations']
    except (ValueError, TypeError, KeyError) as error:
        raise AxialVSError(
            f'{path}: is not a panoptic submission, so no video is added to it; name a new folder'
        ) from error
    return content


def write_panoptic(
    folder: Path,
    video_id: str,
    tracks: Sequence[Track],
    frame_names: Mapping[int, str],
    size: Size,
    category_ids: Sequence[int],
    categories: Sequence[dict[str, Any]],
) -> int:
    """Write the PNGs of a video and add it to `pred.json`, or replace it there.

    A pixel is R + 256 G + 65536 B = track id, 0 where there is no segment.

    Args:
        folder: of the submission.
        video_id: names the folder of PNGs.
        tracks: with unique ids; where they overlap, the higher score is on top.
        frame_names: file names without suffix, by position in the tracks.
        size: (height, width) of a frame.
        category_ids: of the labels.
        categories: of the JSON file.

    Returns:
        The number of pixels in which tracks overlap, of all frames.

    Raises:
        AxialVSError: `pred.json` is not readable.
        OSError: a file cannot be written.
    """
    images = folder / IMAGE_FOLDER / video_id
    images.mkdir(parents=True, exist_ok=True)
    category_of = {track.id: category_ids[track.label] for track in tracks}
    painter = IdPainter(tracks, size)
    frames = []
    for index, stem in frame_names.items():
        ids = painter.paint(index)
        save_image(ids_to_rgb(ids), images / f'{stem}.png')
        segments = segments_info(ids, category_of.__getitem__)
        frames.append({'image_id': stem, 'file_name': f'{stem}.png', 'segments_info': segments})
    content = read_submission(folder)
    others = [x for x in content['annotations'] if x['video_id'] != video_id]
    content['annotations'] = [*others, {'video_id': video_id, 'annotations': frames}]
    content['categories'] = list(categories)
    write_atomically(folder / JSON_NAME, json.dumps(content).encode())
    return painter.num_overlapping
