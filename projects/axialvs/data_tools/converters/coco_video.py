"""Read COCO files of videos, with video ids of images and track ids of annotations.

mmdet's CocoVID has `frame_id` and `instance_id`, TAO has `frame_index` and `track_id`. CVAT's
export "COCO 1.0" of a video task has no `videos`; its annotations have `attributes.track_id`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from axialvs.data_tools.converters.cvat_shapes import box_polygon
from axialvs.data_tools.converters.labeled_video import (
    RLE,
    ConversionError,
    LabeledVideo,
    ProgressFn,
    SkipReport,
    Track,
    choose_names,
)
from axialvs.datasets.annotations.schema import JsonRecord, load_json
from axialvs.datasets.annotations.segmentations import check_segmentations
from axialvs.datasets.annotations.youtube_vis import (
    describe_other_tool,
    read_categories,
    read_size,
)
from axialvs.datasets.image_files import image_size
from axialvs.utils.files import natural_key
from axialvs.utils.rle import compress

_POSITIONS = ('frame_id', 'frame_index', 'order_in_video')
_OBJECTS = ('instance_id', 'track_id')

IDENTITY_HINT = (
    'instance_id (or track_id) must be the same for an object in all frames of its video; here it '
    'seems to be unique per annotation.'
)


@dataclass(slots=True)
class _Frame:
    """A frame and its annotations."""

    record: JsonRecord
    position: int = 0
    annotations: list[JsonRecord] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        return self.record.text('file_name')


@dataclass(frozen=True, slots=True)
class CocoVideos:
    """Records of a file grouped by video, with masks not read yet.

    Attributes:
        path: the file.
        frames: ordered frames of each video, by video name.
        class_names: class names by category id, in file order.
    """

    path: str
    frames: dict[str, list[_Frame]]
    class_names: dict[int, str]


def read_coco_videos(path: Path, wanted: Sequence[str] | None, skipped: SkipReport) -> CocoVideos:
    """Read a file and group its records by video.

    Args:
        path: the JSON file.
        wanted: names of the videos to convert, or None for all.
        skipped: collects skipped items.

    Raises:
        FileNotFoundError: if the file does not exist.
        AnnotationError: if the file is invalid.
        ConversionError: if there is no video with a wanted name.
    """
    content = JsonRecord(load_json(path), str(path))
    if other := describe_other_tool(content.values):
        content.fail(*other)
    if 'images' not in content.values and 'annotations' in content.values:
        content.fail('images', 'is missing; a file in the YouTube-VIS layout needs no conversion')
    class_names = {category.id: category.name for category in read_categories(content)}
    if 'videos' in content.values:
        videos = _read_videos(content)
        frames = _read_frames(content, videos)
    else:
        videos = {None: path.stem}
        frames = _read_only_video(content)
    ids: set[int] = set()
    for record in content.records('annotations', 'annotation'):
        record.unique_integer('id', ids)
        frames[record.reference('image_id', frames, 'image')].annotations.append(record)
    of_video: dict[str, list[_Frame]] = {name: [] for name in videos.values()}
    for frame in frames.values():
        of_video[videos[frame.record.values['video_id'] if None not in videos else None]].append(
            frame
        )
    chosen = {}
    for name in choose_names(list(of_video), wanted, str(path)):
        if of_video[name]:
            chosen[name] = _sorted(of_video[name], name)
        else:
            skipped.add('videos without frames', name)
    return CocoVideos(str(path), chosen, class_names)


def read_all(
    source: CocoVideos,
    images: Path | None,
    allow_boxes: bool,
    skipped: SkipReport,
    on_frame: ProgressFn,
) -> Iterator[LabeledVideo]:
    """Read the masks of all videos.

    Args:
        source: records from `read_coco_videos`.
        images: folder that file names are relative to, to check image sizes; None to skip it.
        allow_boxes: use boxes as masks of annotations without masks.
        skipped: collects skipped items.
        on_frame: callback for each frame.

    Raises:
        FileNotFoundError: if an image is missing.
        AnnotationError: if an annotation is invalid.
        ConversionError: if sizes differ, or an object occurs twice in a frame, changes its class or
            has no mask.
    """
    for name, frames in source.frames.items():
        size = read_size(frames[0].record)
        masks: dict[int, list[RLE | None]] = {}
        first: dict[int, JsonRecord] = {}
        for index, frame in enumerate(frames):
            _check_size(frame, size, name, images)
            for record in frame.annotations:
                identifier = _object_of(record)
                _check_same_object(record, first.setdefault(identifier, record), source.class_names)
                of_object = masks.setdefault(identifier, [None] * len(frames))
                if of_object[index] is not None:
                    problem = f'{identifier} occurs twice in {frame.file_name}'
                    record.fail('instance_id', f'{problem}; use one annotation per frame')
                of_object[index] = _mask(record, size, allow_boxes, name, skipped)
            on_frame()
        tracks = tuple(
            Track(
                str(i),
                source.class_names[first[i].integer('category_id')],
                tuple(masks[i]),
                first[i].flag('iscrowd', default=False),
            )
            for i in masks
        )
        yield LabeledVideo(name, *size, tuple(frame.file_name for frame in frames), tracks)


def _read_videos(content: JsonRecord) -> dict[int, str]:
    videos: dict[int, str] = {}
    ids: set[int] = set()
    for record in content.records('videos', 'video'):
        identifier = record.unique_integer('id', ids)
        name = record.text('name') if 'name' in record.values else str(identifier)
        if name in videos.values():
            record.fail('name', f'{name!r} is used twice')
        videos[identifier] = name
    return videos


def _read_frames(content: JsonRecord, videos: dict[int, str]) -> dict[int, _Frame]:
    frames: dict[int, _Frame] = {}
    ids: set[int] = set()
    for record in content.records('images', 'image', owner='video'):
        record.reference('video_id', videos, 'video')
        position = record.integer(_one_of(record, _POSITIONS))
        frames[record.unique_integer('id', ids)] = _Frame(record, position)
    return frames


def _read_only_video(content: JsonRecord) -> dict[int, _Frame]:
    """Read the images of a file without videos as one video, sorted by name."""
    frames: dict[int, _Frame] = {}
    ids: set[int] = set()
    for record in content.records('images', 'image'):
        frames[record.unique_integer('id', ids)] = _Frame(record)
    for annotation in content.records('annotations', 'annotation'):
        if _identity(annotation) is None:
            annotation.fail(
                'attributes.track_id',
                'is missing, and the file has no videos: object ids are not consistent over '
                'frames. Export the task as "CVAT for video 1.1", or train on still images with '
                'the dataset CocoClips',
            )
    for position, frame in enumerate(
        sorted(frames.values(), key=lambda f: natural_key(f.file_name))
    ):
        frame.position = position
    return frames


def _one_of(record: JsonRecord, fields: Sequence[str]) -> str:
    """Return the first of several alternative fields that a record has."""
    for name in fields:
        if record.values.get(name) is not None:
            return name
    raise record.error(fields[0], f'is missing (as are {", ".join(fields[1:])})')


def _identity(record: JsonRecord) -> int | None:
    """Return the track id in CVAT's COCO export, or None."""
    attributes = record.values.get('attributes')
    track_id = attributes.get('track_id') if isinstance(attributes, dict) else None
    return track_id if type(track_id) is int else None


def _object_of(record: JsonRecord) -> int:
    if any(record.values.get(name) is not None for name in _OBJECTS):
        return record.integer(_one_of(record, _OBJECTS))
    identity = _identity(record)
    return record.integer(_one_of(record, _OBJECTS)) if identity is None else identity


def _sorted(frames: list[_Frame], video: str) -> list[_Frame]:
    frames = sorted(frames, key=lambda frame: frame.position)
    for one, other in pairwise(frames):
        if one.position == other.position:
            problem = f'{other.position} is used twice in video {video}, also by {one.file_name}'
            other.record.fail(_one_of(other.record, _POSITIONS), problem)
    return frames


def _check_size(frame: _Frame, size: tuple[int, int], video: str, images: Path | None) -> None:
    found = {'the file': read_size(frame.record)}
    if images is not None:
        found['the image'] = image_size(images / frame.file_name)
    for where, (width, height) in found.items():
        if (width, height) != size:
            raise ConversionError(
                f'{frame.file_name}: has {width}x{height} pixels in {where}, but the first frame '
                f'of video {video} has {size[0]}x{size[1]} in the file; all frames of a video must '
                'have the same size'
            )


def _check_same_object(record: JsonRecord, first: JsonRecord, names: dict[int, str]) -> None:
    category = record.reference('category_id', names, 'category')
    before = first.integer('category_id')
    if category != before:
        problem = f'object {_object_of(record)} is {names[category]!r} here and {names[before]!r}'
        record.fail(
            'category_id',
            f'{problem} in annotation {first.values["id"]}; use one class per object',
        )
    if record.flag('iscrowd', default=False) != first.flag('iscrowd', default=False):
        record.fail('iscrowd', f'differs from annotation {first.values["id"]}')


def _mask(
    record: JsonRecord, size: tuple[int, int], allow_boxes: bool, video: str, skipped: SkipReport
) -> RLE:
    width, height = size
    entry = record.values.get('segmentation')
    if entry:
        check_segmentations(record, [entry], height, width, 'segmentation')
        return compress(entry, height, width)
    if not allow_boxes:
        record.fail(
            'segmentation',
            'is missing or empty, and boxes are not used by default; set --allow-boxes to train on '
            'boxes as masks',
        )
    box = record.get('bbox')
    record.numbers('bbox', box, 4)
    left, top, box_width, box_height = box
    polygon = box_polygon(left, top, left + box_width, top + box_height)
    check_segmentations(record, [[polygon]], height, width, 'bbox')
    skipped.add('masks replaced by boxes', f'{video}, annotation {record.values["id"]}')
    return compress([polygon], height, width)
