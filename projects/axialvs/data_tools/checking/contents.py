"""Reads an annotation file to its end, whatever is wrong in it, and notes every fault.

The checks are those of the reader that training uses (`annotations`, `segmentations`), which stops
at the first fault; here each is called by itself. What passes them is looked at by `tracks`.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.data_tools.checking.findings import Findings
from axialvs.datasets.annotations.schema import AnnotationError, Place, Record
from axialvs.datasets.annotations.segmentations import read_segmentations
from axialvs.datasets.annotations.youtube_vis import (
    Category,
    Video,
    check_copy,
    load_json,
    read_category_name,
    read_file_names,
    read_frame_numbers,
    read_reference,
    refuse_coco_video,
)

Progress = Callable[[Iterable, int, str], Iterable]


@dataclass(frozen=True, slots=True)
class Track:
    """An instance as far as it can be read; frames whose mask is broken have none.

    Attributes:
        where: The instance in words, for messages.
        stills: Whether its video is an image of COCO's layout.
        video: The video it moves in.
        category_id: Of the file, or None where it is no category.
        segmentations: One entry a frame: RLE, polygons or None.
        visible: (L,) bool, see `annotations.Instance`.
        broken: (L,) bool: frames whose mask is broken, so that nothing more is said of them.
        iscrowd: Whether it is a crowd.
        areas: One a frame, or None.
        bboxes: One a frame, or None.
    """

    where: str
    stills: bool
    video: Video
    category_id: int | None
    segmentations: tuple[Any, ...]
    visible: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    iscrowd: bool
    areas: tuple[float | None, ...] | None
    bboxes: tuple[list[float] | None, ...] | None

    def in_frame(self, frame: int) -> str:
        """Instance and frame in words."""
        return self.where if self.stills else f'{self.where}, frame {frame}'


@dataclass(frozen=True, slots=True)
class Contents:
    """What could be read of a file.

    Attributes:
        path: The file.
        stills: Whether it is in COCO's layout; an image is then a video of one frame.
        categories: In the file's order.
        names: Their names as they stand in the file.
        videos: In the file's order.
        tracks: In the file's order, or None where the file has no annotations.
    """

    path: str
    stills: bool
    categories: tuple[Category, ...] = ()
    names: tuple[str, ...] = ()
    videos: tuple[Video, ...] = ()
    tracks: tuple[Track, ...] | None = None

    @property
    def unit(self) -> str:
        """What one of `videos` is called."""
        return 'image' if self.stills else 'video'


class _StillRecord(Record):
    """A record of COCO's layout that is read as one of a video of a single frame."""

    _FIELDS = {
        'segmentation': 'segmentations',
        'bbox': 'bboxes',
        'area': 'areas',
        'file_name': 'file_names',
    }

    def __init__(self, values: Any, place: Place) -> None:
        super().__init__(values, place)
        lists = {
            many: [self.values[one]] for one, many in self._FIELDS.items() if one in self.values
        }
        self.values = {**self.values, **lists, 'length': 1}

    def error(self, field: str, problem: str, kind: str = 'layout') -> AnnotationError:
        """The error, under the name that the field has in a COCO file."""
        for one, many in self._FIELDS.items():
            field = field.replace(f'{many}[0]', one).replace(many, one)
        return super().error(field, problem, kind)


class _FrameRecord(Record):
    """An instance of which one frame's mask is read as if it were the only one."""

    def __init__(self, record: Record, frame: int) -> None:
        super().__init__(record.values, record.place)
        self._record = record
        self._frame = frame

    def error(self, field: str, problem: str, kind: str = 'layout') -> AnnotationError:
        """The error, with the frame's own number."""
        field = field.replace('segmentations[0]', f'segmentations[{self._frame}]')
        return self._record.error(field, problem, kind)


def read_contents(path: str | os.PathLike[str], findings: Findings, progress: Progress) -> Contents:
    """Reads a file in the layout of YouTube-VIS, or of COCO's instances.

    Args:
        path: The JSON file.
        findings: Where faults go.
        progress: `progress(items, total, unit)` gives the items and shows how far it is.

    Raises:
        FileNotFoundError: There is no such file.
        AnnotationError: It is not readable as JSON, or no JSON object.
    """
    path = os.fspath(path)
    content = Record(load_json(path), Place(path))
    stills = 'images' in content.values and 'videos' not in content.values
    if not stills and 'images' in content.values:
        findings.attempt(refuse_coco_video, content)
        return Contents(path, stills)
    categories, names, category_ids = _read_categories(content, findings)
    videos, video_ids = _read_videos(content, stills, findings)
    tracks = None
    if content.values.get('annotations') is not None:
        entries = _entries(content, 'annotations', stills, findings)
        tracks = tuple(
            _read_tracks(
                progress(entries, len(entries), 'instance'),
                stills,
                ({video.id: video for video in videos}, video_ids, category_ids),
                findings,
            )
        )
    return Contents(path, stills, categories, names, videos, tracks)


def _entries(
    content: Record, field: str, stills: bool, findings: Findings
) -> list[tuple[Any, Place]]:
    """The entries of a list with their places; none where it is no list."""
    nouns = {'categories': 'category', 'videos': 'video', 'images': 'image'}
    noun = nouns.get(field, 'annotation' if stills else 'instance')
    also = 'video_id' if noun == 'instance' else None
    return findings.attempt(lambda: list(content.entries(field, noun, also))) or []


def _read_categories(
    content: Record, findings: Findings
) -> tuple[tuple[Category, ...], tuple[str, ...], set[int]]:
    """Categories, their names as they stand there, and all ids, those of broken ones too."""
    categories, written, names = [], [], {}
    ids: set[int] = set()
    entries = _entries(content, 'categories', False, findings)
    for entry, place in entries:
        record = findings.attempt(Record, entry, place)
        if record is None:
            continue
        identifier = findings.attempt(record.unique_integer, 'id', ids)
        if identifier is None:
            continue
        name = findings.attempt(read_category_name, record, identifier, names)
        if name is not None:
            categories.append(Category(identifier, name))
            written.append(record.values['name'])
    if not entries and isinstance(content.values.get('categories'), list):
        findings.add('layout', '', 'the list is empty', 'categories')
    return tuple(categories), tuple(written), ids


def _read_videos(
    content: Record, stills: bool, findings: Findings
) -> tuple[tuple[Video, ...], set[int]]:
    """Videos whose size and length are known, and all ids."""
    videos: list[Video] = []
    ids: set[int] = set()
    for entry, place in _entries(content, 'images' if stills else 'videos', stills, findings):
        record = findings.attempt(_StillRecord if stills else Record, entry, place)
        if record is None:
            continue
        identifier = findings.attempt(record.unique_integer, 'id', ids)
        length, width, height = (
            findings.attempt(record.integer, field, 1) for field in ('length', 'width', 'height')
        )
        file_names = length and findings.attempt(read_file_names, record, length)
        if None not in (identifier, length, width, height):
            videos.append(Video(identifier, width, height, length, file_names or ()))
    return tuple(videos), ids


def _read_tracks(
    entries: Iterable[tuple[Any, Place]],
    stills: bool,
    known: tuple[dict[int, Video], set[int], set[int]],
    findings: Findings,
) -> Iterable[Track]:
    """The instances of videos that could be read."""
    videos, video_ids, category_ids = known
    ids: set[int] = set()
    owner, noun = ('image_id', 'image') if stills else ('video_id', 'video')
    for entry, place in entries:
        record = findings.attempt(_StillRecord if stills else Record, entry, place)
        if record is None:
            continue
        findings.attempt(record.unique_integer, 'id', ids)
        video_id = findings.attempt(read_reference, record, owner, video_ids, noun)
        category_id = findings.attempt(
            read_reference, record, 'category_id', category_ids, 'category'
        )
        if video_id in videos:
            yield _read_track(record, videos[video_id], category_id, findings)


def _read_track(record: Record, video: Video, category_id: int | None, findings: Findings) -> Track:
    for field in ('width', 'height', 'length'):
        findings.attempt(check_copy, record, field, video)
    entries = findings.attempt(record.sequence, 'segmentations', video.length)
    if entries is None:
        masks = (None,) * video.length, *np.array([[False], [True]]).repeat(video.length, 1)
    else:
        masks = _read_masks(entries, video, record, findings)
    stills = isinstance(record, _StillRecord)
    return Track(
        f'image {video.id}, {record.place.where}' if stills else record.place.where,
        stills,
        video,
        category_id,
        *masks,
        findings.attempt(record.flag, 'iscrowd', False) or False,
        findings.attempt(read_frame_numbers, record, 'areas', video.length, 1),
        findings.attempt(read_frame_numbers, record, 'bboxes', video.length, 4),
    )


def _read_masks(
    entries: Sequence[Any], video: Video, record: Record, findings: Findings
) -> tuple[tuple[Any, ...], NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks, `visible` and `broken`: all at once, or one by one where something is wrong."""
    size = video.height, video.width
    try:
        visible = read_segmentations(entries, *size, record)
        return tuple(entries), visible, np.zeros_like(visible)
    except AnnotationError:
        pass
    found = [
        findings.attempt(read_segmentations, [entry], *size, _FrameRecord(record, frame))
        for frame, entry in enumerate(entries)
    ]
    broken = np.array([visible is None for visible in found], dtype=bool)
    kept = tuple(None if lost else entry for entry, lost in zip(entries, broken, strict=True))
    return kept, np.array([visible is not None and visible[0] for visible in found]), broken
