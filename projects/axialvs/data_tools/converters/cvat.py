"""Read the tracks of CVAT's export "CVAT for video 1.1".

A track has one shape per visible frame, including interpolated ones (`keyframe="0"`), and one with
`outside="1"` in the frame where it disappears. Frame numbers refer to the uploaded video. Brush
masks, automatic masks and shapes (as opposed to tracks) are exported as one `<track>` per frame:
those with the same label and `group_id` are merged into one object.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

from axialvs.data_tools.converters.cvat_shapes import (
    BOX,
    MASK_SHAPES,
    OTHER_SHAPES,
    interpolate,
    shape_mask,
)
from axialvs.data_tools.converters.cvat_tasks import CvatTask, CvatVideos, decimal, find_frames
from axialvs.data_tools.converters.labeled_video import (
    RLE,
    ConversionError,
    LabeledVideo,
    ProgressFn,
    SkipReport,
    Track,
)
from axialvs.datasets.class_names import normalize_name
from axialvs.datasets.image_files import common_size
from axialvs.utils.rle import unite

IDENTITY_HINT = (
    'CVAT exports brush masks, automatic masks and shapes as one track per frame. Draw in track '
    'mode, or assign the shapes of an object to the same group (key G), which identifies it.'
)


def read_all(
    source: CvatVideos, images: Path, allow_boxes: bool, skipped: SkipReport, on_track: ProgressFn
) -> Iterator[LabeledVideo]:
    """Read the masks of all tasks.

    Args:
        source: tasks from `read_cvat_videos`.
        images: folder of the frames, see `find_frames`.
        allow_boxes: use boxes as masks.
        skipped: collects skipped items.
        on_track: callback for each track.

    Raises:
        FileNotFoundError: if images are missing.
        ConversionError: if a track is invalid, or images have a different size than the task.
    """
    for task in source.tasks:
        frames = find_frames(task, images, source.is_only)
        size = common_size(frames, task.name)
        if task.frame_size not in (None, size):
            raise ConversionError(
                f'{frames[0]}: has {size[0]}x{size[1]} pixels, but task {task.name} of {task.path} '
                f'has {task.frame_size[0]}x{task.frame_size[1]}; extract frames at this size'
            )
        objects: dict[tuple[str, str], Track] = {}
        for element in task.tracks:
            track = _read_track(task, element, source.labels, size, allow_boxes, skipped)
            group = element.get('group_id', '0')
            if track is not None:
                key = (track.category, f'group {group}') if group != '0' else ('', track.name)
                known = objects.get(key)
                if known is not None and group == '0':
                    raise ConversionError(f'{task.where}: two tracks have the id {track.name!r}')
                objects[key] = track if known is None else _join(known, track, task, skipped)
            on_track()
        names = tuple(frame.relative_to(images).as_posix() for frame in frames)
        yield LabeledVideo(task.name, *size, names, tuple(objects.values()))


def _join(first: Track, second: Track, task: CvatTask, skipped: SkipReport) -> Track:
    """Merge two tracks of one group, with the union of masks in common frames."""
    masks = []
    for frame, both in enumerate(zip(first.masks, second.masks, strict=True)):
        present = [mask for mask in both if mask is not None]
        if len(present) > 1:
            example = f'{task.name}/{first.name} and {second.name}, frame {frame}'
            skipped.add('masks of one group in one frame, merged', example)
        masks.append(unite(present) if len(present) > 1 else (present or [None])[0])
    return Track(first.name, first.category, tuple(masks))


def _read_track(
    task: CvatTask,
    element: Element,
    labels: dict[str, str],
    size: tuple[int, int],
    allow_boxes: bool,
    skipped: SkipReport,
) -> Track | None:
    name = element.get('id', '?')
    where = f'{task.where}, track {name}'
    label = labels.get(normalize_name(element.get('label', '')))
    if label is None:
        raise ConversionError(
            f'{where}: label {element.get("label")!r} is not among the labels of the file, '
            f'{", ".join(labels.values())}'
        )
    shapes = _shapes_by_frame(task, element, where)
    kinds = {shape.tag for shape in shapes.values()}
    for kind in OTHER_SHAPES:
        if kind in kinds:
            skipped.add(f'tracks of {kind}, which have no area', f'{task.name}/{name} {label}')
            return None
    if BOX in kinds and not allow_boxes:
        raise ConversionError(
            f'{where}: is drawn with boxes, which are not used by default; draw polygons or masks, '
            'or set --allow-boxes to train on boxes as masks'
        )
    masks: list[RLE | None] = [None] * task.size
    for index, shape in _visible(shapes, where, f'{task.name}/{name}', skipped):
        if shape.tag == BOX:
            skipped.add('masks replaced by boxes', f'{task.name}/{name} frame {index}')
        masks[index] = shape_mask(shape, *size, f'{where}, frame {index} of the task')
    return Track(name, label, tuple(masks))


def _shapes_by_frame(task: CvatTask, element: Element, where: str) -> dict[int, Element]:
    """Return the ordered shapes of a track by frame index within the task.

    The `outside` marker after the last frame may have an index one beyond the end.
    """
    shapes: dict[int, Element] = {}
    for shape in element:
        if shape.tag not in (*MASK_SHAPES, BOX, *OTHER_SHAPES):
            raise ConversionError(f'{where}: unknown shape <{shape.tag}>')
        text = shape.get('frame', '')
        number = decimal(text)
        index, rest = (-1, 0) if number is None else divmod(number - task.start, task.step)
        outside = shape.get('outside', '0')
        if outside not in ('0', '1'):
            raise ConversionError(f'{where}, frame {text}: outside={outside!r} is neither 0 nor 1')
        past_the_end = index == task.size and outside == '1'
        if rest or not (0 <= index < task.size or past_the_end):
            raise ConversionError(
                f'{where}: frame={text!r} is not a frame of the task, which has {task.size} frames '
                f'from {task.start} in steps of {task.step}'
            )
        if index in shapes:
            raise ConversionError(f'{where}: has two shapes in frame {text}')
        shapes[index] = shape
    return dict(sorted(shapes.items()))


def _visible(
    shapes: dict[int, Element], where: str, track: str, skipped: SkipReport
) -> Iterator[tuple[int, Element]]:
    """Yield the frames and shapes of a visible track; missing frames are interpolated."""
    for (index, shape), (following, after) in pairwise([*shapes.items(), (None, None)]):
        if shape.get('outside') == '1':
            continue
        yield index, shape
        if following is None or following == index + 1:
            continue
        number = following - index - 1
        skipped.add('frames not listed, interpolated', f'{track} after frame {index}', number)
        for missing in range(index + 1, following):
            if after.get('outside') == '1':  # CVAT keeps the last shape until the track ends
                yield missing, shape
                continue
            fraction = (missing - index) / (following - index)
            yield missing, interpolate(shape, after, fraction, f'{where}, frame {index}')
