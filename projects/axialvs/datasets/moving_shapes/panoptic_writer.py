"""Write generated panoptic videos in VIPSeg's 720P layout."""

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from axialvs.datasets.annotations.panoptic import ids_to_rgb
from axialvs.datasets.moving_shapes.images import write_frames, write_image
from axialvs.datasets.moving_shapes.levels import Level
from axialvs.datasets.moving_shapes.video import Video

_IDS_PER_CATEGORY = 256


def panoptic_ids(video: Video, level: Level) -> np.ndarray:
    """Compute segment ids (L, H, W): 256 (category id + 1) + object index; 0 for void."""
    stuff_categories = video.stuff.astype(np.int64) + len(level.classes)
    ids = np.where(video.stuff >= 0, _IDS_PER_CATEGORY * (stuff_categories + 1), 0)
    for number, (label, masks) in enumerate(zip(video.labels, video.masks, strict=True)):
        ids[masks] = _IDS_PER_CATEGORY * (label + 1) + number
    return ids


def write_panoptic_split(folder: Path, videos: Iterable[Video], level: Level, info: dict) -> None:
    """Write `images`, `panomasksRGB` and `panoptic.json` of one split.

    Category ids count from 0, things first.

    Args:
        folder: the split's folder, which must not exist.
        videos: the videos, in order; one is in memory at a time.
        level: the level of the videos.
        info: content of the file's `info`.
    """
    folder.mkdir(parents=True)
    for name in ('images', 'panomasksRGB'):
        (folder / name).mkdir()
    entries, annotations = [], []
    for number, video in enumerate(videos, start=1):
        name = f'video_{number:05d}'
        write_frames(folder / 'images' / name, video.frames)
        id_maps = panoptic_ids(video, level)
        height, width = id_maps.shape[1:]
        images, frames = [], []
        (folder / 'panomasksRGB' / name).mkdir()
        for index, ids in enumerate(id_maps):
            image = f'{index:05d}'
            write_image(folder / 'panomasksRGB' / name / f'{image}.png', ids_to_rgb(ids))
            images.append(dict(id=image, width=width, height=height, file_name=f'{image}.png'))
            frames.append(
                dict(image_id=image, file_name=f'{image}.png', segments_info=_segments(ids))
            )
        entries.append(dict(video_id=name, images=images))
        annotations.append(dict(video_id=name, annotations=frames))
    num_things = len(level.classes)
    categories = [
        dict(id=i, name=name, isthing=int(i < num_things))
        for i, name in enumerate(level.classes + level.stuff)
    ]
    content = dict(info=info, videos=entries, categories=categories, annotations=annotations)
    (folder / 'panoptic.json').write_text(json.dumps(content), encoding='utf-8')


def _segments(ids: np.ndarray) -> list[dict]:
    segments = []
    for identifier in np.unique(ids[ids > 0]).tolist():
        mask = ids == identifier
        segments.append(
            dict(
                id=identifier,
                category_id=identifier // _IDS_PER_CATEGORY - 1,
                iscrowd=0,
                area=int(mask.sum()),
                bbox=list(cv2.boundingRect(mask.astype(np.uint8))),
            )
        )
    return segments
