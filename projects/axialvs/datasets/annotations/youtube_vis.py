"""How the files of a split data set are named: a training set of videos in two parts."""

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import AnnotationError, Place, Record
from axialvs.datasets.annotations.segmentations import Segmentation, read_segmentations
from axialvs.datasets.class_names import normalise_name, repair_name

PARTS = ('main', 'holdout')  # to train on, to validate on


def part_file(whole: Path, part: str) -> Path:
    """The annotation file of a part, beside the file that is split."""
    return whole.with_name(f'{whole.stem}_{part}{whole.suffix}')


def whole_file(path: Path) -> Path | None:
    """The file that an annotation file is a part of, by its name; None if it is none."""
    for part in PARTS:
        stem = path.stem.removesuffix(f'_{part}')
        if stem and stem != path.stem:
            return path.with_name(f'{stem}{path.suffix}')
    return None


@dataclass(frozen=True, slots=True)
class Category:
    """A class as the file has it; the name is repaired (`class_lists.repair_name`)."""

    id: int
    name: str


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
        id: The file's id; 0 is an id like any other.
        video_id: The video it moves in.
        category_id: The file's category id.
        segmentations: L entries as in the file: COCO RLE with string or list counts, a list of
            polygons, or None where the object is absent.
        visible: (L,) bool. False where the entry is None or its mask has no pixel. Polygons are
            not rasterised here and count as visible.
        iscrowd: Whether it stands for a group that is not taken apart.
        areas: L entries as in the file, or None where the file has no such field.
        bboxes: L entries `[x, y, width, height]` as in the file, or None as above.
    """

    id: int
    video_id: int
    category_id: int
    segmentations: tuple[Segmentation | None, ...]
    visible: NDArray[np.bool_]
    iscrowd: bool = False
    areas: tuple[float | None, ...] | None = None
    bboxes: tuple[list[float] | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class VideoAnnotations:
    """What an annotation file says.

    Attributes:
        path: The file.
        categories: In the file's order.
        videos: In the file's order.
        instances: In the file's order, or None where the file has no annotations, as the
            official validation and test files.
    """

    path: str
    categories: tuple[Category, ...]
    videos: tuple[Video, ...]
    instances: tuple[Instance, ...] | None

    def instances_by_video(self) -> dict[int, list[Instance]]:
        """Instances of every video by its id; videos without objects have an empty list."""
        grouped: dict[int, list[Instance]] = {video.id: [] for video in self.videos}
        for instance in self.instances or ():
            grouped[instance.video_id].append(instance)
        return grouped


def read_annotations(path: str | os.PathLike[str]) -> VideoAnnotations:
    """Reads an annotation file in the official layout and checks all that is used of it.

    Args:
        path: The JSON file.

    Raises:
        FileNotFoundError: There is no such file.
        AnnotationError: Something in the file is wrong; the message says what and where.
    """
    path = os.fspath(path)
    content = Record(load_json(path), Place(path))
    refuse_coco_video(content)
    categories = read_categories(content)
    videos = _read_videos(content)
    instances = None
    if content.values.get('annotations') is not None:
        instances = _read_instances(content, categories, videos)
    return VideoAnnotations(path, categories, videos, instances)


def refuse_coco_video(content: Record) -> None:
    """Raises where a file has images beside or instead of videos."""
    if 'images' in content.values:
        raise content.error(
            'images',
            'this looks like a converted COCO-video file; give the official file of the data '
            'set, whose videos have "file_names" and whose instances have "segmentations"',
        )


def load_json(path: str) -> Any:
    """What a JSON file holds; an error in words where it is missing or cannot be read."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such annotation file. {_remedy(Path(path))}')
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(f'{path}: not a readable JSON file ({error}).') from error


def _remedy(missing: Path) -> str:
    whole = whole_file(missing)
    if whole is not None:
        return (
            f'Its name is that of a part of {whole.name}, which is made by python '
            f'tools/dataset_converters/split_dataset.py {whole}; see docs/data.md.'
        )
    return (
        'Check the path, in a config ann_file and data_root; docs/data.md says where the files of '
        'each data set lie.'
    )


def read_categories(content: Record) -> tuple[Category, ...]:
    """The categories of a file of any of the layouts, in its order."""
    categories: list[Category] = []
    ids: set[int] = set()
    names: dict[str, int] = {}
    for record in content.records('categories', 'category'):
        identifier = record.unique_integer('id', ids)
        categories.append(Category(identifier, read_category_name(record, identifier, names)))
    if not categories:
        raise content.error('categories', 'the list is empty')
    return tuple(categories)


def read_category_name(record: Record, identifier: int, names: dict[str, int]) -> str:
    """The name of a category, repaired, which no category before had; it is added to `names`."""
    name = repair_name(record.text('name'))
    other = names.setdefault(normalise_name(name), identifier)
    if other != identifier:
        problem = f'{name!r} is also the name of category {other}'
        raise record.error('name', problem, 'duplicate-name')
    return name


def _read_videos(content: Record) -> tuple[Video, ...]:
    videos: list[Video] = []
    ids: set[int] = set()
    for record in content.records('videos', 'video'):
        identifier = record.unique_integer('id', ids)
        length = record.integer('length', minimum=1)
        file_names = read_file_names(record, length)
        width, height = (record.integer(field, minimum=1) for field in ('width', 'height'))
        videos.append(Video(identifier, width, height, length, file_names))
    return tuple(videos)


def read_file_names(record: Record, length: int) -> tuple[str, ...]:
    """The names of a video's frames."""
    file_names = record.sequence('file_names', length)
    for index, file_name in enumerate(file_names):
        if not isinstance(file_name, str) or not file_name.strip():
            raise record.error(f'file_names[{index}]', f'{file_name!r} is not a file name')
    return tuple(file_names)


def _read_instances(
    content: Record, categories: tuple[Category, ...], videos: tuple[Video, ...]
) -> tuple[Instance, ...]:
    videos_by_id = {video.id: video for video in videos}
    category_ids = {category.id for category in categories}
    ids: set[int] = set()
    instances = []
    for record in content.records('annotations', 'instance', also='video_id'):
        identifier = record.unique_integer('id', ids)
        video = videos_by_id[read_reference(record, 'video_id', videos_by_id, 'video')]
        category_id = read_reference(record, 'category_id', category_ids, 'category')
        instances.append(_read_instance(record, identifier, video, category_id))
    return tuple(instances)


def read_reference(record: Record, field: str, known: Collection[int], noun: str) -> int:
    """The field as the id of a record that the file has."""
    value = record.integer(field)
    if value not in known:
        raise record.error(field, f'{value} is no {noun} of this file', f'unknown-{noun}')
    return value


def check_copy(record: Record, field: str, video: Video) -> None:
    """Checks a field that may repeat one of the video: 'width', 'height' or 'length'."""
    expected = getattr(video, field)
    if field in record.values and record.integer(field) != expected:
        problem = f'{record.values[field]}, but its video has {expected}'
        raise record.error(field, problem, 'size-differs')


def _read_instance(record: Record, identifier: int, video: Video, category_id: int) -> Instance:
    for field in ('width', 'height', 'length'):
        check_copy(record, field, video)
    entries = record.sequence('segmentations', video.length)
    return Instance(
        identifier,
        video.id,
        category_id,
        tuple(entries),
        read_segmentations(entries, video.height, video.width, record),
        record.flag('iscrowd', default=False),
        read_frame_numbers(record, 'areas', video.length, numbers=1),
        read_frame_numbers(record, 'bboxes', video.length, numbers=4),
    )


def read_frame_numbers(
    record: Record, field: str, length: int, numbers: int
) -> tuple[Any, ...] | None:
    """A field that may be missing: one entry a frame, None or so many finite numbers."""
    if record.values.get(field) is None:
        return None
    entries = record.sequence(field, length)
    for index, entry in enumerate(entries):
        if entry is None:
            continue
        members = [entry] if numbers == 1 else entry
        if not isinstance(members, list) or len(members) != numbers:
            raise record.error(f'{field}[{index}]', f'{entry!r} is not a list of {numbers} numbers')
        if not all(type(m) in (int, float) and abs(m) < float('inf') for m in members):
            raise record.error(f'{field}[{index}]', f'{entry!r} is not a finite number')
    return tuple(entries)
