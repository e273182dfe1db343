"""Panoptic segments in VIPSeg's submission layout: `pred.json` and `pan_pred/VIDEO/FRAME.png`.

Each finished video is a file in `parts/` until `join_parts` moves them to `pred.json`, so that the
time of a run is linear in its videos.
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


def write_panoptic(images: Path, video: SegmentedVideo) -> int:
    """Write the PNGs of a video and its part of `pred.json`.

    A pixel is R + 256 G + 65536 B = track id, 0 where there is no segment. Where tracks overlap,
    the higher score is on top. `join_parts` completes the submission.

    Args:
        images: folder of the PNGs, `SUBMISSION/pan_pred/VIDEO`.
        video: whose shown tracks are written.

    Returns:
        The number of pixels in which tracks overlap, of all frames.

    Raises:
        OSError: a file cannot be written.
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
