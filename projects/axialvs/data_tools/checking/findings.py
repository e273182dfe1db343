"""What can be wrong with a data set, and the list of what was found."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from axialvs.datasets.annotations.schema import AnnotationError

Severity = Literal['error', 'warning', 'note']
Value = TypeVar('Value')


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of fault.

    Attributes:
        severity: 'error' where training stops, or cannot use the record; 'warning' where it goes
            on, probably not as meant; 'note' for what is right and good to know.
        title: What is wrong, of one record.
        remedy: What to do, or what happens where nothing is done.
    """

    severity: Severity
    title: str
    remedy: str


# In the order of the report. The first ones are those that the reader of annotation files raises.
KINDS: dict[str, Kind] = {
    'layout': Kind('error', 'field missing or of a wrong type', 'docs/data.md has the layout'),
    'duplicate-id': Kind('error', 'id that stands twice', 'give every record its own id'),
    'duplicate-name': Kind('error', 'category name that stands twice', 'merge the categories'),
    'unknown-video': Kind('error', 'instance of a video that is not listed', 'list it or drop it'),
    'unknown-image': Kind('error', 'annotation of an image not listed', 'list it or drop it'),
    'unknown-category': Kind('error', 'instance of an unlisted category', 'list the category'),
    'list-length': Kind('error', 'list without one entry a frame', 'null stands for "absent"'),
    'size-differs': Kind('error', "size or length that is not the video's", 'make them equal'),
    'mask-size': Kind('error', 'mask of another size than its video', 'write masks at video size'),
    'mask-broken': Kind('error', 'mask that cannot be decoded', 'write it as COCO RLE or null'),
    'class-without-category': Kind(
        'error',
        'class of the config that no category of the file has',
        'give the right class list, or set allow_unlisted_categories=True and never learn it',
    ),
    'category-without-class': Kind(
        'error',
        'category of the file that is no class of the config',
        'give the right class list, or set allow_unlisted_categories=True to leave it out',
    ),
    'nothing-to-learn': Kind(
        'error', 'no object to train on in the file', 'see the other findings'
    ),
    'image-missing': Kind('error', 'image that is not there', 'check the image folder'),
    'image-unreadable': Kind('error', 'image that cannot be decoded', 'replace the file'),
    'image-truncated': Kind('error', 'image that breaks off', 'copy or extract it again'),
    'image-size': Kind('error', 'image of another size than the file says', 'correct the file'),
    'name-mended': Kind(
        'warning', 'category name with damaged text or blanks', 'it is mended when it is read'
    ),
    'category-unused': Kind('warning', 'category without an instance', 'it is never learnt'),
    'video-empty': Kind('warning', 'video without an object to learn', 'training leaves it out'),
    'video-short': Kind(
        'warning', 'video shorter than a clip', 'its last frame is repeated to fill the clip'
    ),
    'frame-twice': Kind('warning', 'image file listed twice', 'list each frame once'),
    'frame-order': Kind(
        'warning', 'frames not in the order of their numbers', 'sort 2.jpg before 10.jpg'
    ),
    'track-unseen': Kind('warning', 'instance that is visible nowhere', 'it is left out'),
    'mask-empty': Kind('warning', 'mask without a pixel', 'write null; it counts as absent'),
    'mask-twice': Kind(
        'warning', 'mask that two instances share', 'drop one: training learns the object twice'
    ),
    'box-misses-mask': Kind(
        'warning', 'box that does not enclose its mask', 'training takes boxes from masks'
    ),
    'box-without-mask': Kind(
        'warning', 'box in a frame without a mask', 'the object counts as absent there'
    ),
    'area-differs': Kind(
        'warning', "area that is not its mask's", 'scores by size go by the field areas'
    ),
    'object-tiny': Kind(
        'warning', 'instance that is very small in all frames', 'it can hardly be learnt'
    ),
    'no-annotations': Kind('note', 'file without annotations', 'it is for testing only'),
    'frame-same': Kind('note', 'image equal to another of its video', 'the video stands still'),
    'crowd': Kind('note', 'crowd', 'it is ignored in training and scoring'),
    'class-without-stills': Kind('note', 'class that no category of the stills stands for', ''),
    'category-dropped': Kind('note', 'category of the stills that stands for no class', ''),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: the record in words, its field or an empty text, and what is wrong with it."""

    where: str
    field: str
    problem: str

    def __str__(self) -> str:
        return ': '.join(part for part in (self.where, self.field, self.problem) if part)


@dataclass
class Findings:
    """All faults of a data set, by kind.

    Attributes:
        by_kind: Key of `KINDS` -> what was found, in the order of the file.
        severities: Kinds whose severity is another one here.
    """

    by_kind: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    severities: dict[str, Severity] = field(default_factory=dict)

    def add(self, kind: str, where: str, problem: str = '', field: str = '') -> None:
        """Notes a fault of a kind that `KINDS` has."""
        assert kind in KINDS, kind
        self.by_kind[kind].append(Finding(where, field, problem))

    def attempt(self, read: Callable[..., Value], *args: object) -> Value | None:
        """What a function of the reader gives; None, and its error noted, where it raises one."""
        try:
            return read(*args)
        except AnnotationError as error:
            self.add(error.kind, error.where, error.problem, error.field)
            return None

    def severity(self, kind: str) -> Severity:
        """How bad a kind is."""
        return self.severities.get(kind, KINDS[kind].severity)

    def of(self, severity: Severity) -> dict[str, list[Finding]]:
        """The kinds of a severity that were found, in the report's order."""
        return {
            kind: self.by_kind[kind]
            for kind in KINDS
            if self.by_kind.get(kind) and self.severity(kind) == severity
        }

    def count(self, severity: Severity) -> int:
        """How many faults of a severity were found."""
        return sum(map(len, self.of(severity).values()))
