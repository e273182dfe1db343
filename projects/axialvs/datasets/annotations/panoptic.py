"""Panoptic annotations of videos in VIPSeg's layout: a JSON file and a folder of PNGs.

The JSON's `annotations` hold for each video, by its `video_id`, one entry per frame: `file_name`
and `segments_info`, a list of `{id, category_id, iscrowd}`. The ground truth has `categories` with
`isthing` too. A PNG, `FOLDER/VIDEO_ID/FILE_NAME`, has in each pixel the id of its segment as
R + 256 G + 65536 B, or 0 (void). The pixels of one id through a video are a tube. `area` and
`bbox` are not read: areas are counted.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import (
    AnnotationError,
    JsonRecord,
    is_text,
    load_json,
    shown,
)
from axialvs.utils.images import open_image

VOID = 0
MAX_ID = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class PanopticCategory:
    """A thing class if `isthing`, else a stuff class."""

    id: int
    name: str
    isthing: bool


@dataclass(frozen=True, slots=True)
class PanopticVideo:
    """A video of a JSON file.

    Attributes:
        id: its `video_id`, the name of its folder.
        file_names: of the frames' PNGs.
        segments: for each frame the ids of the visible segments.
        categories: category id of each tube, by the tube's id.
        crowds: ids of tubes that are groups of objects without separate masks.
        size: (width, height) of its first frame, if listed in the file's `videos`.
    """

    id: str
    file_names: tuple[str, ...]
    segments: tuple[frozenset[int], ...]
    categories: Mapping[int, int]
    crowds: frozenset[int]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PanopticSegmentation:
    """Segmented videos.

    Attributes:
        path: the JSON file.
        folder: the folder of the videos' folders of PNGs.
        categories: in the ground truth's order.
        videos: in the ground truth's order, with frames in its order.
    """

    path: str
    folder: str
    categories: tuple[PanopticCategory, ...]
    videos: tuple[PanopticVideo, ...]


def read_ground_truth(
    path: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> PanopticSegmentation:
    """Read the JSON file of a ground truth.

    Args:
        path: the JSON file.
        folder: the folder of its PNGs.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        AnnotationError: if something in the file is wrong.
    """
    path, folder, content = open_panoptic(path, folder)
    categories = read_panoptic_categories(content)
    return PanopticSegmentation(path, folder, categories, read_panoptic_videos(content, categories))


def open_panoptic(
    path: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> tuple[str, str, JsonRecord]:
    path, folder = os.fspath(path), os.fspath(folder)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file; the JSON of the segments belongs here.')
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f'{folder}: no such folder; the PNGs of {path} belong here, as VIDEO_ID/FILE_NAME.'
        )
    return path, folder, JsonRecord(load_json(path), path)


def read_panoptic_categories(content: JsonRecord) -> tuple[PanopticCategory, ...]:
    categories: list[PanopticCategory] = []
    ids: set[int] = set()
    for record in content.records('categories', 'category'):
        record.get('isthing')  # required, unlike other flags
        categories.append(
            PanopticCategory(
                record.unique_integer('id', ids),
                record.class_name('name'),
                record.flag('isthing', default=False),
            )
        )
    if not categories:
        raise content.error('categories', 'the list is empty')
    return tuple(categories)


def read_panoptic_videos(
    content: JsonRecord, categories: tuple[PanopticCategory, ...]
) -> tuple[PanopticVideo, ...]:
    known = {category.id for category in categories}
    sizes = _read_sizes(content)
    videos: dict[str, PanopticVideo] = {}
    for record in content.records('annotations', 'video'):
        video_id = record.get('video_id')
        if type(video_id) not in (str, int) or not _is_file_name(str(video_id)):
            raise record.error('video_id', f'{shown(video_id)} is not the name of a folder')
        video_id = str(video_id)
        if video_id in videos:
            raise record.error('video_id', f'{video_id!r} is used twice')
        videos[video_id] = _read_video(video_id, record, known, sizes.get(video_id))
    if not videos:
        raise content.error('annotations', 'the list is empty, so there is no video')
    return tuple(videos.values())


def _read_sizes(content: JsonRecord) -> dict[str, tuple[int, int]]:
    """Return the (width, height) of the first frames of the videos that `videos` lists."""
    sizes = {}
    for record in content.records('videos', 'video') if 'videos' in content.values else ():
        video_id = str(record.values.get('video_id'))
        if record.values.get('images'):
            record = JsonRecord(record.values, record.path, f'video {video_id}')
            first = next(record.records('images', 'image'))
            sizes[video_id] = first.integer('width', 1), first.integer('height', 1)
    return sizes


def _read_video(
    video_id: str, record: JsonRecord, known: set[int], size: tuple[int, int] | None
) -> PanopticVideo:
    record = JsonRecord(record.values, record.path, f'video {video_id}')
    segments: dict[str, frozenset[int]] = {}
    categories: dict[int, int] = {}
    crowds: set[int] = set()
    for frame in record.records('annotations', 'frame'):
        name = frame.text('file_name')
        if not _is_file_name(name) or name in segments:
            problem = (
                'is used twice' if name in segments else 'is not a file name in the video folder'
            )
            raise frame.error('file_name', f'{name!r} {problem}')
        frame = JsonRecord(frame.values, frame.path, f'video {video_id}, frame {name}')
        segments[name] = _read_segments(frame, known, categories, crowds)
    if not segments:
        raise record.error('annotations', 'the list is empty, so the video has no frames')
    return PanopticVideo(
        video_id, tuple(segments), tuple(segments.values()), categories, frozenset(crowds), size
    )


def _read_segments(
    frame: JsonRecord, known: set[int], categories: dict[int, int], crowds: set[int]
) -> frozenset[int]:
    """Return the ids of a frame; adds the categories and crowds of their tubes."""
    ids: set[int] = set()
    for index, entry in enumerate(frame.records('segments_info', 'segment')):
        where = f'{frame.where}, segments_info[{index}]'
        segment = JsonRecord(entry.values, frame.path, where)
        identifier = segment.unique_integer('id', ids)
        if not VOID < identifier <= MAX_ID:
            problem = f'{identifier} is not in 1 ... {MAX_ID}; 0 is void'
            raise segment.error('id', problem)
        category = segment.integer('category_id')
        if category not in known:
            raise segment.error('category_id', f'{category} is not a category of the ground truth')
        other = categories.setdefault(identifier, category)
        if other != category:
            raise segment.error(
                'category_id',
                f'{category}, but segment {identifier} had category {other} in an earlier frame; '
                'give different objects different ids',
            )
        if segment.flag('iscrowd', default=False):
            crowds.add(identifier)
    return frozenset(ids)


def _is_file_name(name: str) -> bool:
    return is_text(name) and name == os.path.basename(name) and name not in ('.', '..')


def read_ids(path: str | os.PathLike[str]) -> NDArray[np.uint32]:
    """Read a PNG as a map of segment ids, (H, W).

    Args:
        path: the PNG.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not an RGB picture.
    """
    # Pillow, unlike OpenCV, uses no threads, which do not survive a fork.
    with open_image(path, AnnotationError) as image:
        if image.mode not in ('RGB', 'P'):
            raise AnnotationError(
                f'{path}: has pixels of kind {image.mode!r}, but RGB is needed: '
                'a segment id is R + 256 G + 65536 B.'
            )
        pixels = np.asarray(image.convert('RGBA'))
    return pixels.view('<u4')[..., 0] & np.uint32(MAX_ID)


def ids_to_rgb(ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Encode a map of segment ids (H, W) as the pixels (H, W, 3) of a PNG."""
    return np.stack([ids & 0xFF, ids >> 8 & 0xFF, ids >> 16 & 0xFF], axis=-1).astype(np.uint8)


def segments_info(
    ids: NDArray[np.integer], category_of: Callable[[int], int]
) -> list[dict[str, Any]]:
    """List the segments of a map of ids (H, W), as the JSON has them for a frame.

    Args:
        ids: 0 is void.
        category_of: the category id of a segment's id.
    """
    found = zip(*(x.tolist() for x in np.unique(ids, return_counts=True)), strict=True)
    return [
        {'id': i, 'category_id': category_of(i), 'iscrowd': 0, 'area': area}
        for i, area in found
        if i != VOID
    ]
