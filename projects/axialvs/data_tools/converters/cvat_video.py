"""CVAT's export "CVAT for video 1.1": tracks of shapes.

A track lists its shape in every frame in which it is to be seen, interpolated ones included
(`keyframe="0"`), and one with `outside="1"` where it leaves. Frame numbers are those of the video
that was uploaded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

from axialvs.data_tools.converters.cvat_shapes import (
    BOX,
    MASK_SHAPES,
    OTHER_SHAPES,
    between,
    shape_mask,
)
from axialvs.data_tools.converters.cvat_task import CvatFile, CvatTask, frames_of, read_cvat_file
from axialvs.data_tools.converters.image_files import common_size
from axialvs.data_tools.converters.labelled_video import (
    RLE,
    ConversionError,
    LabelledVideo,
    LeftOut,
    OnFrame,
    Track,
    choose_names,
)
from axialvs.datasets.class_names import normalise_name


@dataclass(frozen=True, slots=True)
class CvatVideos:
    """Tasks of one or more files.

    Attributes:
        labels: Of all files, in their order.
        tasks: Those that were chosen.
        is_only: Whether the files have one task in all.
    """

    labels: tuple[str, ...]
    tasks: tuple[CvatTask, ...]
    is_only: bool


def read_cvat_videos(paths: Sequence[Path], wanted: Sequence[str] | None) -> CvatVideos:
    """Reads the files; shapes are not read yet.

    Args:
        paths: XML files.
        wanted: Names of the tasks to take, or None for all.

    Raises:
        FileNotFoundError: A file is missing.
        ConversionError: A file is wrong, two tasks have the same name, or there is no wanted task.
    """
    files: list[CvatFile] = [read_cvat_file(path) for path in paths]
    tasks = {}
    for task in (task for file in files for task in file.tasks):
        if task.name in tasks:
            raise ConversionError(
                f'{task.path}: task {task.name!r} is also in {tasks[task.name].path}; rename one'
            )
        tasks[task.name] = task
    labels: dict[str, str] = {}
    for label in (label for file in files for label in file.labels):
        labels.setdefault(normalise_name(label), label)
    chosen = choose_names(list(tasks), wanted, ', '.join(map(str, paths)))
    return CvatVideos(
        tuple(labels.values()), tuple(tasks[name] for name in chosen), len(tasks) == 1
    )


def read_all(
    source: CvatVideos, images: Path, allow_boxes: bool, left_out: LeftOut, on_track: OnFrame
) -> Iterator[LabelledVideo]:
    """Reads the masks of one task after the other.

    Args:
        source: From `read_cvat_videos`.
        images: Folder of the frames, see `frames_of`.
        allow_boxes: Take boxes as masks.
        left_out: Is added to.
        on_track: Is called once a track.

    Raises:
        FileNotFoundError: Images are missing.
        ConversionError: A track is wrong, or images have another size than the task.
    """
    labels = {normalise_name(label): label for label in source.labels}
    for task in source.tasks:
        frames = frames_of(task, images, source.is_only)
        size = common_size(frames, task.name)
        if task.width is not None and size != (task.width, task.height):
            raise ConversionError(
                f'{frames[0]}: has {size[0]}x{size[1]} pixels, but task {task.name} of {task.path} '
                f'has {task.width}x{task.height}'
            )
        tracks = []
        for element in task.tracks:
            track = _read_track(task, element, labels, size, allow_boxes, left_out)
            tracks += [] if track is None else [track]
            on_track()
        yield LabelledVideo(
            task.name,
            *size,
            tuple(frame.relative_to(images).as_posix() for frame in frames),
            tuple(tracks),
        )


def _read_track(
    task: CvatTask,
    element: Element,
    labels: dict[str, str],
    size: tuple[int, int],
    allow_boxes: bool,
    left_out: LeftOut,
) -> Track | None:
    name = element.get('id', '?')
    where = f'{task.path}: task {task.name}, track {name}'
    label = labels.get(normalise_name(element.get('label', '')))
    if label is None:
        raise ConversionError(
            f'{where}: label {element.get("label")!r} is not among the labels of the file, '
            f'{", ".join(labels.values())}'
        )
    shapes = _shapes_by_frame(task, element, where)
    kinds = {shape.tag for shape in shapes.values()}
    for kind in OTHER_SHAPES:
        if kind in kinds:
            left_out.add(f'tracks of {kind}, which have no area', f'{task.name}/{name} {label}')
            return None
    if BOX in kinds and not allow_boxes:
        raise ConversionError(
            f'{where}: is drawn with boxes, and a box is no mask; draw it with polygons or masks, '
            'or give --allow-boxes to train on boxes as if they were masks'
        )
    masks: list[RLE | None] = [None] * task.size
    for index, shape in _visible(shapes, where, f'{task.name}/{name}', left_out):
        if shape.tag == BOX:
            left_out.add('masks replaced by boxes', f'{task.name}/{name} frame {index}')
        masks[index] = shape_mask(shape, *size, f'{where}, frame {index} of the task')
    return Track(name, label, tuple(masks))


def _shapes_by_frame(task: CvatTask, element: Element, where: str) -> dict[int, Element]:
    """The track's shapes in order, by index of the frame within the task.

    The marker that ends the last frame's shape may lie one frame behind the end.
    """
    shapes: dict[int, Element] = {}
    for shape in element:
        if shape.tag not in (*MASK_SHAPES, BOX, *OTHER_SHAPES):
            raise ConversionError(f'{where}: <{shape.tag}> is no shape that is known here')
        text = shape.get('frame', '')
        index, rest = divmod(int(text) - task.start, task.step) if text.isdecimal() else (-1, 0)
        past_the_end = index == task.size and shape.get('outside') == '1'
        if rest or not (0 <= index < task.size or past_the_end):
            raise ConversionError(
                f'{where}: frame={text!r} is no frame of the task, which has {task.size} from '
                f'{task.start} on in steps of {task.step}'
            )
        if index in shapes:
            raise ConversionError(f'{where}: has two shapes in frame {text}')
        shapes[index] = shape
    return dict(sorted(shapes.items()))


def _visible(
    shapes: dict[int, Element], where: str, track: str, left_out: LeftOut
) -> Iterator[tuple[int, Element]]:
    """Frames in which the track is to be seen; frames that are not listed are interpolated."""
    for (index, shape), (following, after) in pairwise([*shapes.items(), (None, None)]):
        if shape.get('outside') == '1':
            continue
        yield index, shape
        if following is None or following == index + 1:
            continue
        number = following - index - 1
        left_out.add('frames not listed, interpolated', f'{track} after frame {index}', number)
        for missing in range(index + 1, following):
            if after.get('outside') == '1':  # CVAT holds the last shape until the object leaves
                yield missing, shape
                continue
            share = (missing - index) / (following - index)
            yield missing, between(shape, after, share, f'{where}, frame {index} of the task')
