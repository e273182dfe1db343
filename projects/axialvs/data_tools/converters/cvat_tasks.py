"""Read the tasks, labels and frames of CVAT's export "CVAT for video 1.1"."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from axialvs.data_tools.converters.labeled_video import ConversionError, choose_names
from axialvs.datasets.class_names import normalize_name, repair_name
from axialvs.datasets.image_files import list_images

_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class CvatTask:
    """A task, which is one video.

    Attributes:
        path: the file.
        name: name of the task.
        size: number of frames.
        start: index of its first frame in the uploaded video.
        step: step between its frames in the uploaded video.
        frame_size: (width, height) of the frames, or None if not in the file.
        folders: possible names of its image folder.
        tracks: its tracks.
    """

    path: Path
    name: str
    size: int
    start: int
    step: int
    frame_size: tuple[int, int] | None
    folders: tuple[str, ...]
    tracks: tuple[Element, ...]

    @property
    def where(self) -> str:
        """File and task, for error messages."""
        return f'{self.path}: task {self.name}'


@dataclass(frozen=True, slots=True)
class CvatVideos:
    """Tasks of one or more files, with shapes not read yet.

    Attributes:
        labels: labels of all files by normalized name, in file order.
        tasks: the selected tasks.
        is_only: whether the files contain a single task.
    """

    labels: dict[str, str]
    tasks: tuple[CvatTask, ...]
    is_only: bool


def read_cvat_videos(paths: Sequence[Path], wanted: Sequence[str] | None) -> CvatVideos:
    """Read the metadata of exported tasks, jobs or projects.

    Args:
        paths: XML files.
        wanted: names of the tasks to convert, or None for all.

    Raises:
        FileNotFoundError: if a file is missing.
        ConversionError: if a file is invalid, two tasks have the same name, or a wanted one is
            missing.
    """
    tasks: dict[str, CvatTask] = {}
    labels: dict[str, str] = {}
    for path in paths:
        root = _read_root(path)
        own_labels = _labels(root)
        if not own_labels:
            raise ConversionError(f'{path}: <meta> has no labels')
        labels |= {key: name for key, name in own_labels.items() if key not in labels}
        for task in _read_tasks(path, root):
            if task.name in tasks:
                raise ConversionError(
                    f'{path}: task {task.name!r} is also in {tasks[task.name].path}; rename one'
                )
            tasks[task.name] = task
    chosen = choose_names(list(tasks), wanted, ', '.join(map(str, paths)))
    return CvatVideos(labels, tuple(tasks[name] for name in chosen), len(tasks) == 1)


def _read_root(path: Path) -> Element:
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also unknown encodings
        raise ConversionError(
            f'{path}: not a valid XML file ({error}); extract the archive exported by CVAT and '
            'use its annotations.xml'
        ) from error
    if root.tag != 'annotations' or root.find('meta') is None:
        raise ConversionError(f'{path}: is not a CVAT file; export as "CVAT for video 1.1"')
    if root.find('image') is not None:
        raise ConversionError(
            f'{path}: is an export "CVAT for images", which has no object ids over frames; export '
            'as "CVAT for video 1.1"'
        )
    return root


def _labels(root: Element) -> dict[str, str]:
    names: dict[str, str] = {}
    for label in root.find('meta').iter('label'):
        name = repair_name(label.findtext('name') or '')
        if name and label.find('parent') is None:  # labels with a parent are skeleton points
            names.setdefault(normalize_name(name), name)
    return names


def _read_tasks(path: Path, root: Element) -> Iterator[CvatTask]:
    meta, tracks = root.find('meta'), root.findall('track')
    heads = meta.findall('project/tasks/task') or [*meta.findall('task'), *meta.findall('job')]
    if not heads:
        raise ConversionError(f'{path}: <meta> has no task')
    ids = [(head.findtext('id') or '').strip() for head in heads]
    for track in tracks if len(heads) > 1 else ():
        if ids.count(track.get('task_id')) != 1:
            raise ConversionError(
                f'{path}: track {track.get("id")}: task_id={track.get("task_id")!r} is not the id '
                f'of one of the tasks, {", ".join(ids)}'
            )
    for identifier, head in zip(ids, heads, strict=True):
        source, name = ((head.findtext(field) or '').strip() for field in ('source', 'name'))
        name = name or (Path(source).stem if source else path.stem)
        own = tracks if len(heads) == 1 else [t for t in tracks if t.get('task_id') == identifier]
        yield _read_task(path, head, name, source, own)


def _read_task(
    path: Path, head: Element, name: str, source: str, tracks: Sequence[Element]
) -> CvatTask:
    where = f'{path}: task {name}'
    step = (head.findtext('frame_filter') or 'step=1').strip().removeprefix('step=').strip()
    if not decimal(step):
        raise ConversionError(
            f'{where}: <frame_filter> {head.findtext("frame_filter")!r} is not step=NUMBER'
        )
    size = head.find('original_size')
    folders = dict.fromkeys(f for f in (name, Path(source).stem, source) if f)
    return CvatTask(
        path,
        name,
        _integer(head, 'size', where, None),
        _integer(head, 'start_frame', where, 0),
        int(step),
        None if size is None else _frame_size(size, where),
        tuple(folders),
        tuple(tracks),
    )


def _frame_size(size: Element, where: str) -> tuple[int, int]:
    return _integer(size, 'width', where, None), _integer(size, 'height', where, None)


def _integer(head: Element, field: str, where: str, default: int | None) -> int:
    text = (head.findtext(field) or '').strip()
    if not text and default is not None:
        return default
    number = decimal(text)
    if number is None:
        raise ConversionError(f'{where}: <{field}> is {text[:60]!r}, not a number')
    return number


def decimal(text: str) -> int | None:
    """Parse an integer of up to 18 digits without a sign; None for other text."""
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def find_frames(task: CvatTask, images: Path, is_only: bool) -> list[Path]:
    """Return the image file of each frame of a task.

    They are in a folder named after the task or its source or, for a single task, in `images`
    itself. There is one image per frame of the task, or per frame of the uploaded video, from which
    the frames of the task are selected.

    Args:
        task: the task.
        images: the folder with the frames of all tasks.
        is_only: whether there is no other task.

    Raises:
        FileNotFoundError: if the folder or images are missing.
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
        f'{folder}: contains {len(found)} images, but task {task.name} of {task.path} has '
        f'{task.size} frames; extract all frames of the video'
    )
