"""COCO files of videos: images that belong to videos, annotations that belong to tracks.

mmdet's CocoVID has `frame_id` and `instance_id`, TAO has `frame_index` and `track_id`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pycocotools import mask as mask_utils

from axialvs.data_tools.converters.image_files import image_size
from axialvs.data_tools.converters.labelled_video import (
    RLE,
    ConversionError,
    LabelledVideo,
    LeftOut,
    OnFrame,
    Track,
    choose_names,
)
from axialvs.data_tools.converters.shapes import box_polygon, polygons_mask
from axialvs.datasets.annotations.coco import StillRecord
from axialvs.datasets.annotations.schema import Place, Record, shown
from axialvs.datasets.annotations.segmentations import read_segmentations
from axialvs.datasets.annotations.youtube_vis import load_json, read_categories

_POSITIONS = ('frame_id', 'frame_index', 'order_in_video')
_OBJECTS = ('instance_id', 'track_id')


@dataclass(slots=True)
class _Frame:
    """A frame and the annotations in it."""

    position: int
    record: Record
    annotations: list[StillRecord] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        return self.record.text('file_name')

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.record.integer('width', 1), self.record.integer('height', 1)


@dataclass(frozen=True, slots=True)
class CocoVideos:
    """A file whose records are sorted into videos; masks are not read yet.

    Attributes:
        path: The file.
        classes: Names of its categories, in its order.
        frames: The frames of each video by its name, in order.
        names: Class names by category id.
    """

    path: str
    classes: tuple[str, ...]
    frames: dict[str, list[_Frame]]
    names: dict[int, str]


def read_coco_videos(path: Path, wanted: Sequence[str] | None, left_out: LeftOut) -> CocoVideos:
    """Reads the file and sorts its records.

    Args:
        path: The JSON file.
        wanted: Names of the videos to take, or None for all.
        left_out: Is added to.

    Raises:
        FileNotFoundError: There is no such file.
        AnnotationError: Something in the file is wrong.
        ConversionError: There is no video of a wanted name.
    """
    content = Record(load_json(str(path)), Place(str(path)))
    if 'images' not in content.values and 'annotations' in content.values:
        raise content.error(
            'images', 'is missing; a file in the YouTube-VIS layout needs no conversion'
        )
    categories = read_categories(content)
    videos = _read_videos(content)
    frames = _read_frames(content, videos)
    _add_annotations(content, frames)
    of_video: dict[str, list[_Frame]] = {name: [] for name in videos.values()}
    for frame in frames.values():
        of_video[videos[frame.record.values['video_id']]].append(frame)
    chosen = choose_names(list(of_video), wanted, str(path))
    for name in list(of_video):
        if name not in chosen:
            del of_video[name]
        elif not of_video[name]:
            del of_video[name]
            left_out.add('videos without frames', name)
        else:
            _sort(of_video[name], name)
    return CocoVideos(
        str(path),
        tuple(category.name for category in categories),
        of_video,
        {category.id: category.name for category in categories},
    )


def read_all(
    source: CocoVideos,
    images: Path | None,
    allow_boxes: bool,
    left_out: LeftOut,
    on_frame: OnFrame,
) -> Iterator[LabelledVideo]:
    """Reads the masks of one video after the other.

    Args:
        source: From `read_coco_videos`.
        images: The folder that file names are relative to, to compare sizes; None looks at none.
        allow_boxes: Take the box as the mask of an annotation that has none.
        left_out: Is added to.
        on_frame: Is called once a frame.

    Raises:
        FileNotFoundError: An image is missing.
        AnnotationError: An annotation is wrong.
        ConversionError: Sizes differ, or an object is there twice, changes its class or has no
            mask.
    """
    for name, frames in source.frames.items():
        yield _read_video(source, name, frames, images, allow_boxes, left_out, on_frame)


def _read_videos(content: Record) -> dict[int, str]:
    videos: dict[int, str] = {}
    ids: set[int] = set()
    for record in content.records('videos', 'video'):
        identifier = record.unique_integer('id', ids)
        name = record.text('name') if 'name' in record.values else str(identifier)
        if name in videos.values():
            raise record.error('name', f'{name!r} stands twice')
        videos[identifier] = name
    return videos


def _read_frames(content: Record, videos: dict[int, str]) -> dict[int, _Frame]:
    frames: dict[int, _Frame] = {}
    ids: set[int] = set()
    for record in content.records('images', 'image', also='video_id'):
        identifier = record.unique_integer('id', ids)
        if record.integer('video_id') not in videos:
            raise record.error('video_id', f'{record.values["video_id"]} is no video of this file')
        frames[identifier] = _Frame(record.integer(_one_of(record, _POSITIONS)), record)
    return frames


def _add_annotations(content: Record, frames: dict[int, _Frame]) -> None:
    ids: set[int] = set()
    for plain in content.records('annotations', 'annotation'):
        record = StillRecord(plain.values, plain.place)
        record.unique_integer('id', ids)
        image = record.integer('image_id')
        if image not in frames:
            raise record.error('image_id', f'{image} is no image of this file')
        frames[image].annotations.append(record)


def _one_of(record: Record, fields: Sequence[str]) -> str:
    """That of several names which a field has in this file."""
    for name in fields:
        if record.values.get(name) is not None:
            return name
    raise record.error(fields[0], f'is missing (as are {", ".join(fields[1:])})')


def _sort(frames: list[_Frame], video: str) -> None:
    frames.sort(key=lambda frame: frame.position)
    for one, other in pairwise(frames):
        if one.position == other.position:
            raise other.record.error(
                _one_of(other.record, _POSITIONS),
                f'{other.position} stands twice in video {video}, the other is {one.file_name}',
            )


def _read_video(
    source: CocoVideos,
    name: str,
    frames: list[_Frame],
    images: Path | None,
    allow_boxes: bool,
    left_out: LeftOut,
    on_frame: OnFrame,
) -> LabelledVideo:
    size = frames[0].size
    masks: dict[int, list[RLE | None]] = defaultdict(lambda: [None] * len(frames))
    first: dict[int, StillRecord] = {}
    for index, frame in enumerate(frames):
        _check_size(frame, size, name, images)
        for record in frame.annotations:
            identifier = record.integer(_one_of(record, _OBJECTS))
            _check_same_object(record, first.setdefault(identifier, record), source.names)
            if masks[identifier][index] is not None:
                raise record.error(
                    _one_of(record, _OBJECTS),
                    f'{identifier} stands twice in {frame.file_name}; an object has one mask a '
                    'frame',
                )
            masks[identifier][index] = _mask(record, size, allow_boxes, name, left_out)
        on_frame()
    tracks = tuple(
        Track(
            str(i),
            source.names[first[i].integer('category_id')],
            tuple(masks[i]),
            first[i].flag('iscrowd', default=False),
        )
        for i in masks
    )
    return LabelledVideo(name, *size, tuple(frame.file_name for frame in frames), tracks)


def _check_size(frame: _Frame, size: tuple[int, int], video: str, images: Path | None) -> None:
    for where, found in (
        ('the file', frame.size),
        ('the image', None if images is None else image_size(images / frame.file_name)),
    ):
        if found is not None and found != size:
            raise ConversionError(
                f'{frame.file_name}: has {found[0]}x{found[1]} pixels as {where} says, but the '
                f'first frame of video {video} has {size[0]}x{size[1]} in the file; all frames of '
                'a video have one size'
            )


def _check_same_object(record: StillRecord, first: StillRecord, names: dict[int, str]) -> None:
    category, before = record.integer('category_id'), first.integer('category_id')
    if category not in names:
        raise record.error('category_id', f'{category} is no category of this file')
    if category != before:
        raise record.error(
            'category_id',
            f'object {record.values[_one_of(record, _OBJECTS)]} is {names[category]!r} here and '
            f'{names[before]!r} in annotation {first.values["id"]}; an object keeps its class',
        )
    if record.flag('iscrowd', default=False) != first.flag('iscrowd', default=False):
        raise record.error('iscrowd', f'is not that of annotation {first.values["id"]}')


def _mask(
    record: StillRecord, size: tuple[int, int], allow_boxes: bool, video: str, left_out: LeftOut
) -> RLE | None:
    width, height = size
    entry = record.values.get('segmentation')
    if entry:
        if not read_segmentations([entry], height, width, record)[0]:
            left_out.add('masks without a pixel', f'{video}, annotation {record.values["id"]}')
            return None
        if isinstance(entry, list):
            return polygons_mask(entry, height, width)
        if isinstance(entry['counts'], list):
            return mask_utils.frPyObjects(entry, height, width)
        return {'size': entry['size'], 'counts': entry['counts'].encode()}
    if not allow_boxes:
        raise record.error(
            'segmentation',
            'is missing or empty, and a box is no mask; give --allow-boxes to train on boxes as '
            'if they were masks',
        )
    left, top, box_width, box_height = _box(record)
    left_out.add('masks replaced by boxes', f'{video}, annotation {record.values["id"]}')
    return polygons_mask(
        [box_polygon(left, top, left + box_width, top + box_height)], height, width
    )


def _box(record: StillRecord) -> list[float]:
    box = record.get('bbox')
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(type(number) in (int, float) and abs(number) < 1e6 for number in box)
    ):
        raise record.error('bbox', f'{shown(box)} is not [x, y, width, height]')
    return box
