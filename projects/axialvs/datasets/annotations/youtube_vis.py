"""Annotation files in the official YouTube-VIS layout: 2019, 2021, 2022, OVIS and custom data."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import (
    AnnotationError,
    JsonRecord,
    OnError,
    is_number,
    is_text,
    load_json,
    shown,
)
from axialvs.datasets.annotations.segmentations import Segmentation, check_segmentations
from axialvs.datasets.class_names import repair_name
from axialvs.utils.rle import MAX_PIXELS

# Pixels. OpenCV decodes no larger image (2**30 pixels), and pycocotools counts areas in 32 bits.
MAX_SIDE = 2**15
MAX_LENGTH = 10**6


@dataclass(frozen=True, slots=True)
class Category:
    """A class of the file.

    Attributes:
        id: the file's id.
        name: the name with wrongly decoded text repaired and blanks trimmed.
        source_name: the name as in the file.
    """

    id: int
    name: str
    source_name: str = ''


@dataclass(frozen=True, slots=True)
class Video:
    """A video: its frames' file names in order and their common size in pixels."""

    id: int
    width: int
    height: int
    length: int
    file_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """One object through a video of L frames.

    Attributes:
        id: the file's id; 0 is valid.
        video_id: its video.
        category_id: the file's category id; None only if errors are collected.
        segmentations: L entries as in the file: COCO RLE with string or list counts, a list of
            polygons, or None where the object is absent.
        visible: (L,) bool, see `CheckedMasks`.
        iscrowd: whether it is a group of objects without separate masks.
        areas: L entries as in the file, or None if the file has no such field.
        bboxes: L entries `[x, y, width, height]` as in the file, or None if it has none.
        broken: frames whose segmentation is broken; only if errors are collected.
    """

    id: int
    video_id: int
    category_id: int | None
    segmentations: tuple[Segmentation | None, ...]
    visible: NDArray[np.bool_]
    iscrowd: bool = False
    areas: tuple[float | None, ...] | None = None
    bboxes: tuple[list[float] | None, ...] | None = None
    broken: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoAnnotations:
    """Contents of an annotation file.

    Attributes:
        path: the file.
        categories: in the file's order.
        videos: in the file's order; an image of a COCO file is a video of one frame.
        instances: in the file's order, or None if the file has no annotations, as the official
            validation and test files.
        are_images: whether the file is in COCO's layout.
    """

    path: str
    categories: tuple[Category, ...]
    videos: tuple[Video, ...]
    instances: tuple[Instance, ...] | None
    are_images: bool = False

    def require_instances(self) -> None:
        """Check that the file has ground truth.

        Raises:
            AnnotationError: if the file has no annotations.
        """
        if self.instances is None:
            raise AnnotationError(
                f"{self.path}: field 'annotations': is missing or null, so there is no ground "
                'truth. The labels of official validation and test sets are not public: submit '
                'the results to the evaluation server instead.'
            )

    def instances_by_video(self) -> dict[int, list[Instance]]:
        """Group the instances by the id of their video; videos without objects have none."""
        grouped: dict[int, list[Instance]] = {video.id: [] for video in self.videos}
        for instance in self.instances or ():
            grouped[instance.video_id].append(instance)
        return grouped


def read_annotations(
    path: str | os.PathLike[str], on_error: OnError | None = None
) -> VideoAnnotations:
    """Read an annotation file in the YouTube-VIS layout and check all fields that are used.

    Args:
        path: the JSON file.
        on_error: called with every error instead of raising the first; valid records are returned.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if the file is not JSON, is in a different layout, or has wrong values.
    """
    path = os.fspath(path)
    content = JsonRecord(load_json(path), path, on_error=on_error)
    if problem := _other_layout(content.values):
        content.fail(*problem)
        return VideoAnnotations(path, (), (), None)
    categories = read_categories(content)
    video_ids: set[int] = set()
    videos = _read_videos(content, video_ids)
    instances = None
    if content.values.get('annotations') is not None:
        instances = _read_instances(content, {c.id for c in categories}, video_ids, videos)
    return VideoAnnotations(path, tuple(categories), tuple(videos.values()), instances)


def describe_other_tool(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the field by which a file of YouTube-VOS or labelme is recognized, and what to do."""
    if isinstance(values.get('videos'), dict):
        return 'videos', (
            'this is a meta.json of YouTube-VOS, which holds classes but no masks; convert the '
            'mask images with axialvs convert masks --class-file FILE'
        )
    if 'shapes' in values and 'imagePath' in values:
        return 'shapes', (
            'this is a labelme file of a single image, whose objects have no identity over '
            'frames; export masks, one value per object of the video, and convert them with '
            'axialvs convert masks'
        )
    return None


def _other_layout(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the field by which another well-known layout is recognized, and what to do."""
    if other := describe_other_tool(values):
        return other
    if 'images' in values and 'videos' in values:
        return 'images', (
            'this is a COCO-video file; give the official file of the dataset, whose videos have '
            '"file_names" and whose instances have "segmentations", or convert it with '
            'axialvs convert coco-video'
        )
    if 'images' in values:
        return 'images', (
            'this is a COCO file of still images (as Roboflow exports it), whose objects have no '
            'identity over frames; train on it with the dataset CocoClips. If its images are the '
            'frames of a video and annotations have a track id, convert it with '
            'axialvs convert coco-video'
        )
    return None


def read_categories(content: JsonRecord) -> list[Category]:
    """Read the categories of a file of any layout, in its order; names need not be unique."""
    categories: list[Category] = []
    ids: set[int] = set()
    for record in content.records('categories', 'category'):
        identifier, name = record.unique_integer('id', ids), record.class_name('name')
        if identifier is not None and name is not None:
            categories.append(Category(identifier, repair_name(name), name))
    if content.values.get('categories') == []:
        content.fail('categories', 'the list is empty')
    return categories


def read_size(record: JsonRecord) -> tuple[int | None, int | None]:
    """Read the (width, height) of a video or an image."""
    return record.integer('width', 1, MAX_SIDE), record.integer('height', 1, MAX_SIDE)


def _read_videos(content: JsonRecord, ids: set[int]) -> dict[int, Video]:
    """Read the videos; add all their ids to `ids`, including those of invalid videos."""
    videos: dict[int, Video] = {}
    for record in content.records('videos', 'video'):
        identifier = record.unique_integer('id', ids)
        length = record.integer('length', 1, MAX_LENGTH)
        width, height = read_size(record)
        names = None if length is None else _read_file_names(record, length)
        if None not in (identifier, length, width, height) and identifier not in videos:
            videos[identifier] = Video(identifier, width, height, length, names or ())
    return videos


def _read_file_names(record: JsonRecord, length: int) -> tuple[str, ...] | None:
    names = record.sequence('file_names', length)
    for index, name in enumerate(names or ()):
        if not is_text(name):
            record.fail(f'file_names[{index}]', f'{shown(name)} is not a file name')
            return None
    return None if names is None else tuple(names)


def _read_instances(
    content: JsonRecord,
    category_ids: set[int],
    video_ids: set[int],
    videos: Mapping[int, Video],
) -> tuple[Instance, ...]:
    ids: set[int] = set()
    instances = []
    for record in content.records('annotations', 'instance', owner='video'):
        record.unique_integer('id', ids)
        video_id = record.reference('video_id', video_ids, 'video')
        category_id = record.reference('category_id', category_ids, 'category')
        if video_id in videos:
            instances.append(_read_instance(record, videos[video_id], category_id))
    return tuple(instances)


def _read_instance(record: JsonRecord, video: Video, category_id: int | None) -> Instance:
    for field in ('width', 'height', 'length'):
        value = record.integer(field) if field in record.values else None
        if value not in (None, getattr(video, field)):
            problem = f'{value}, but its video has {getattr(video, field)}'
            record.fail(field, problem, 'size-differs')
    entries = record.sequence('segmentations', video.length)
    masks = check_segmentations(record, entries or [None] * video.length, video.height, video.width)
    return Instance(
        record.values.get('id', -1),
        video.id,
        category_id,
        masks.entries,
        masks.visible,
        record.flag('iscrowd', default=False),
        _read_per_frame(record, 'areas', video.length, count=1),
        _read_per_frame(record, 'bboxes', video.length, count=4),
        masks.broken if entries else tuple(range(video.length)),
    )


def _read_per_frame(
    record: JsonRecord, field: str, length: int, count: int
) -> tuple[Any, ...] | None:
    """Read an optional field with None or `count` finite numbers per frame."""
    if record.values.get(field) is None:
        return None
    entries = record.sequence(field, length)
    for index, entry in enumerate(entries or ()):
        if count == 1 and is_number(entry) and not 0 <= entry <= MAX_PIXELS:
            record.fail(f'{field}[{index}]', f'{entry} is not the area of a mask')
    return entries and tuple(
        entry if entry is None or record.numbers(f'{field}[{index}]', entry, count) else None
        for index, entry in enumerate(entries)
    )
