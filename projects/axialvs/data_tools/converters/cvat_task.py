"""What the head of a CVAT file says: its tasks, their frames and labels."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from axialvs.data_tools.converters.image_files import list_images
from axialvs.data_tools.converters.labelled_video import ConversionError
from axialvs.datasets.class_names import normalise_name, repair_name


@dataclass(frozen=True, slots=True)
class CvatTask:
    """One task, which is one video.

    Attributes:
        path: The file.
        name: Of the video: the task's name.
        identifier: The task's id as text; tracks of a project's export carry it.
        size: Number of frames.
        start: Number of its first frame in the uploaded video.
        step: Every so many frames of the uploaded video is one of the task.
        width: Of the frames, or None where the file does not say it.
        height: Likewise.
        folders: Names that its folder of images may have.
        tracks: Its tracks.
    """

    path: Path
    name: str
    identifier: str
    size: int
    start: int
    step: int
    width: int | None
    height: int | None
    folders: tuple[str, ...]
    tracks: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class CvatFile:
    """A file's labels, in its order, and tasks."""

    labels: tuple[str, ...]
    tasks: tuple[CvatTask, ...]


def read_cvat_file(path: Path) -> CvatFile:
    """Reads an export "CVAT for video 1.1", of a task, a job or a project.

    Raises:
        FileNotFoundError: There is no such file.
        ConversionError: It is something else, or its head is incomplete.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ConversionError(
            f'{path}: not a readable XML file ({error}); unpack the archive that CVAT exports and '
            'give its annotations.xml'
        ) from error
    if root.tag != 'annotations' or root.find('meta') is None:
        raise ConversionError(f'{path}: is no file of CVAT; export as "CVAT for video 1.1"')
    if root.find('image') is not None:
        raise ConversionError(
            f'{path}: is an export "CVAT for images", in which objects have no identity from frame '
            'to frame; export as "CVAT for video 1.1"'
        )
    meta = root.find('meta')
    heads = meta.findall('project/tasks/task') or [
        head for tag in ('task', 'job') for head in meta.findall(tag)
    ]
    if not heads:
        raise ConversionError(f'{path}: its <meta> names no task')
    tracks = root.findall('track')
    tasks = tuple(_read_task(path, head, tracks, len(heads) == 1) for head in heads)
    return CvatFile(_labels(meta, path), tasks)


def _labels(meta: Element, path: Path) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for label in meta.iter('label'):
        name = repair_name(label.findtext('name') or '')
        if name and label.find('parent') is None:  # points of a skeleton have one
            names.setdefault(normalise_name(name), name)
    if not names:
        raise ConversionError(f'{path}: its <meta> names no labels')
    return tuple(names.values())


def _read_task(path: Path, head: Element, tracks: list[Element], is_only: bool) -> CvatTask:
    identifier = (head.findtext('id') or '').strip()
    source = (head.findtext('source') or '').strip()
    name = (head.findtext('name') or '').strip() or (Path(source).stem if source else path.stem)
    where = f'{path}: task {name}'
    size = _integer(head, 'size', where, None)
    start = _integer(head, 'start_frame', where, 0)
    frame_filter = (head.findtext('frame_filter') or '').strip()
    step_text = frame_filter.removeprefix('step=').strip()
    if frame_filter and (not step_text.isdecimal() or int(step_text) < 1):
        raise ConversionError(f'{where}: <frame_filter> {frame_filter!r} is not step=NUMBER')
    frame_size = head.find('original_size')
    pixels = [
        None if frame_size is None else _integer(frame_size, side, where, None)
        for side in ('width', 'height')
    ]
    own = tracks if is_only else [t for t in tracks if t.get('task_id') == identifier]
    folders = dict.fromkeys(f for f in (name, Path(source).stem, source) if f)
    return CvatTask(
        path,
        name,
        identifier,
        size,
        start,
        int(step_text) if frame_filter else 1,
        *pixels,
        tuple(folders),
        tuple(own),
    )


def _integer(head: Element, field: str, where: str, default: int | None) -> int:
    text = (head.findtext(field) or '').strip()
    if not text and default is not None:
        return default
    if not text.isdecimal():
        raise ConversionError(f'{where}: <{field}> is {text!r}, not a number')
    return int(text)


def frames_of(task: CvatTask, images: Path, is_only: bool) -> list[Path]:
    """The image of each of a task's frames.

    They lie in a folder of the task's or of its source's name, or, where there is one task only,
    in the folder itself. There is one image for each frame of the task, or one for each frame of
    the video that was uploaded, of which the task's are taken.

    Args:
        task: The task.
        images: The folder that holds the frames of all tasks.
        is_only: Whether there is no other task.

    Raises:
        FileNotFoundError: The folder is missing, or images are.
    """
    folder = next((images / name for name in task.folders if (images / name).is_dir()), None)
    if folder is None:
        if not is_only or not images.is_dir():
            raise FileNotFoundError(
                f'{images}: has no folder {" or ".join(task.folders)} with the frames of task '
                f'{task.name} of {task.path}'
            )
        folder = images
    found = list_images(folder)
    if len(found) == task.size:
        return found
    last = task.start + task.step * (task.size - 1)
    if len(found) > last:
        return found[task.start : last + 1 : task.step]
    raise FileNotFoundError(
        f'{folder}: holds {len(found)} images, but task {task.name} of {task.path} has '
        f'{task.size} frames; extract all frames of the video'
    )
