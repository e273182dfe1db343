"""Panoptic segments in VIPSeg's submission layout: `pred.json` and `pan_pred/VIDEO/FRAME.png`.

Each finished video is a file in `parts/` until `join_parts` merges them into `pred.json`, which
would otherwise be rewritten after every video.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from PIL import Image

from axialvs.datasets.annotations.panoptic import ids_to_rgb, segments_info
from axialvs.inference.mask_files import IdPainter
from axialvs.inference.segmented_video import SegmentedVideo
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import natural_key, write_atomically
from axialvs.utils.images import write_image

JSON_NAME, PART_FOLDER = 'pred.json', 'parts'


def read_json(path: Path) -> dict[str, Any]:
    """Read `pred.json` or a part; empty lists if there is no such file.

    Raises:
        AxialVSError: if it was not written by this module.
    """
    if not path.exists():
        return {'categories': [], 'annotations': []}
    try:
        content = json.loads(path.read_bytes())
        content['categories'], {x['video_id']: x['annotations'] for x in content['annotations']}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise AxialVSError(f'{path}: is not a panoptic submission; choose a new folder') from error
    return content


def write_panoptic(images: Path, video: SegmentedVideo) -> int:
    """Write the PNGs of a video and its part of `pred.json`.

    The track id of a pixel is R + 256 G + 65536 B, or 0 outside of segments. Where tracks overlap,
    the higher score is on top. `join_parts` completes the submission.

    Args:
        images: folder of the PNGs, `SUBMISSION/pan_pred/VIDEO`.
        video: video whose shown tracks are written.

    Returns:
        The total number of pixels in which tracks overlap.

    Raises:
        OSError: if a file cannot be written.
    """
    category_of = {track.id: video.category_ids[track.label] for track in video.shown}
    painter = IdPainter(video.shown, video.size)
    frames = []
    for index, stem in video.frame_names.items():
        ids = painter.paint(index)
        image = Image.fromarray(ids_to_rgb(ids))
        write_image(images / f'{stem}.png', image, compress_level=1)
        segments = segments_info(ids, category_of.__getitem__)
        frames.append({'image_id': stem, 'file_name': f'{stem}.png', 'segments_info': segments})
    categories = [
        {**category, 'isthing': int(video.thing_labels is None or label in video.thing_labels)}
        for label, category in enumerate(video.categories)
    ]
    part = {'video_id': images.name, 'annotations': frames}
    content = json.dumps({'categories': categories, 'annotations': [part]})
    write_atomically(images.parents[1] / PART_FOLDER / f'{images.name}.json', content.encode())
    return painter.num_overlapping


def join_parts(folder: Path) -> None:
    """Add or replace the videos of `parts/` in `pred.json`, and remove `parts/`.

    Includes the parts of killed runs.

    Args:
        folder: folder of the submission.

    Raises:
        AxialVSError: if `pred.json` or a part is corrupted.
        OSError: if `pred.json` cannot be written; `parts/` is not removed.
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
    with contextlib.suppress(OSError):  # another process may be writing parts
        (folder / PART_FOLDER).rmdir()
