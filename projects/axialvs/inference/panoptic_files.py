"""Panoptic segments in VIPSeg's submission layout: `pred.json` and `pan_pred/VIDEO/FRAME.png`.

Each finished video is a file in `parts/` until `join_parts` moves them to `pred.json`, so that the
time of a run is linear in its videos.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from axialvs.datasets.annotations.panoptic import ids_to_rgb, segments_info
from axialvs.inference.mask_files import IdPainter
from axialvs.structures import Size, Track
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import natural_key, write_atomically
from axialvs.utils.images import write_image

JSON_NAME, IMAGE_FOLDER, PART_FOLDER = 'pred.json', 'pan_pred', 'parts'


def read_json(path: Path) -> dict[str, Any]:
    """Read `pred.json` or a part; empty lists if there is no such file.

    Raises:
        AxialVSError: it was not written by this module.
    """
    if not path.exists():
        return {'categories': [], 'annotations': []}
    try:
        content = json.loads(path.read_bytes())
        for video in content['annotations']:
            video['video_id'], video['annotations']
    except (ValueError, TypeError, KeyError) as error:
        raise AxialVSError(
            f'{path}: is not a panoptic submission, so no video is added; name a new folder'
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
    """Write the PNGs of a video and its part of `pred.json`.

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
        OSError: a file cannot be written.
    """
    images = folder / IMAGE_FOLDER / video_id
    category_of = {track.id: category_ids[track.label] for track in tracks}
    painter = IdPainter(tracks, size)
    frames = []
    for index, stem in frame_names.items():
        ids = painter.paint(index)
        image = Image.fromarray(ids_to_rgb(ids))
        write_image(images / f'{stem}.png', image, compress_level=1)
        segments = segments_info(ids, category_of.__getitem__)
        frames.append({'image_id': stem, 'file_name': f'{stem}.png', 'segments_info': segments})
    video = {'video_id': video_id, 'annotations': frames}
    part = json.dumps({'categories': list(categories), 'annotations': [video]})
    write_atomically(folder / PART_FOLDER / f'{video_id}.json', part.encode())
    return painter.num_overlapping


def join_parts(folder: Path) -> None:
    """Add the videos of `parts/` to `pred.json`, or replace them there; no parts are left.

    Parts of a run that was killed are joined too.

    Args:
        folder: of the submission.

    Raises:
        AxialVSError: `pred.json` or a part is damaged.
        OSError: `pred.json` cannot be written; the parts stay.
    """
    parts = sorted((folder / PART_FOLDER).glob('*.json'), key=lambda path: natural_key(path.name))
    if not parts:
        return
    contents = [read_json(path) for path in (folder / JSON_NAME, *parts)]
    videos = {video['video_id']: video for x in contents for video in x['annotations']}
    joined = {'categories': contents[-1]['categories'], 'annotations': list(videos.values())}
    write_atomically(folder / JSON_NAME, json.dumps(joined).encode())
    for path in parts:
        path.unlink()
    with contextlib.suppress(OSError):  # a different process may write its parts
        (folder / PART_FOLDER).rmdir()
