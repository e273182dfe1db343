"""The rules that a dataset is checked by, and the list of findings."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from axialvs.datasets.annotations.schema import AnnotationError

Severity = Literal['error', 'warning', 'note']
SEVERITIES: tuple[Severity, ...] = ('error', 'warning', 'note')


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        severity: 'error' if training stops or cannot use the record; 'warning' if it runs, but
            probably not as intended; 'note' for what is right and good to know.
        title: what is wrong with a record.
        remedy: what to do, or what happens if nothing is done.
    """

    severity: Severity
    title: str
    remedy: str


def _rules(severity: Severity, **rules: tuple[str, str]) -> dict[str, Rule]:
    return {
        name.replace('_', '-'): Rule(severity, title, remedy)
        for name, (title, remedy) in rules.items()
    }


# In the order of the report. The readers of annotation files raise the first ones.
RULES: dict[str, Rule] = {
    **_rules(
        'error',
        layout=('field missing or of a wrong type', 'docs/data.md has the layout'),
        duplicate_id=('id used twice', 'give every record its own id'),
        duplicate_name=('category name used twice', 'rename or merge the categories'),
        unknown_video=('instance of a video that is not listed', 'list it or drop it'),
        unknown_image=('annotation of an image that is not listed', 'list it or drop it'),
        unknown_category=('instance of a category that is not listed', 'list the category'),
        list_length=('list without one entry per frame', 'null means "absent"'),
        size_differs=('size or length that differs from the video', 'make them equal'),
        mask_size=('mask of a different size than its video', 'write masks at video size'),
        mask_broken=('mask that cannot be decoded', 'write it as COCO RLE; an absent one is null'),
        polygon_broken=('polygon that is none', 'correct or remove it and keep the others'),
        class_without_category=(
            'class of the config without a category in the file',
            'give the right class list, or set allow_unlisted_categories=True and never learn it',
        ),
        category_without_class=(
            'category of the file that is not a class of the config',
            'give the right class list, or set allow_unlisted_categories=True to ignore it',
        ),
        class_count=(
            'number of classes that differs from the model head',
            'set num_things_classes, num_stuff_classes and the class weights to the data',
        ),
        nothing_to_learn=('no object to train on in the file', 'see the other findings'),
        image_missing=('missing image', 'check the image folder'),
        image_unreadable=('image that cannot be decoded', 'replace the file'),
        image_truncated=('truncated image', 'copy or extract it again'),
        image_size=('image of a different size than in the file', 'correct the file'),
        segment_missing=('pixels of a segment that the JSON lacks', 'list it in segments_info'),
        segment_unseen=('segment without a pixel', 'remove it from segments_info'),
    ),
    **_rules(
        'warning',
        name_repaired=('category name with damaged text or blanks', 'it is repaired when read'),
        category_unused=('category without an instance', 'it is never learned'),
        video_empty=('video without an object to learn', 'training ignores it'),
        video_short=('video shorter than a clip', 'its last frame is repeated to fill the clip'),
        frame_narrow=(
            'frames much longer than wide',
            'resized by their short side they take gigabytes; cut them',
        ),
        frame_twice=('image file listed twice', 'list each frame once'),
        frame_order=('frames not in the order of their numbers', 'sort 2.jpg before 10.jpg'),
        identity_lost=(
            'most objects live in a single frame of their video',
            'if the source has no identity over frames, give the same object one id in all frames',
        ),
        track_unseen=('instance that is never visible', 'it is ignored'),
        mask_empty=('mask without a pixel', 'write null; it counts as absent'),
        mask_twice=('two instances with the same mask', 'drop one: the object is learned twice'),
        box_misses_mask=('box that does not enclose its mask', 'training takes boxes from masks'),
        box_without_mask=('box in a frame without a mask', 'the object counts as absent there'),
        area_differs=('area that differs from its mask', 'scores by size use the field areas'),
        object_tiny=('instance that is very small in all frames', 'it can hardly be learned'),
        unlabelled_pixels=('frame that is mostly unlabeled', 'unlabeled pixels are not learned'),
    ),
    **_rules(
        'note',
        no_annotations=('file without annotations', 'it is for testing only'),
        frame_same=('image equal to a different one of its video', 'frames are repeated'),
        crowd=('crowd', 'it is ignored in training and scoring'),
        class_without_stills=('class without a category in the still images', ''),
        category_dropped=('category of the still images that is mapped to no class', ''),
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: the record in words, its field or an empty text, and what is wrong with it."""

    where: str
    field: str
    problem: str

    def __str__(self) -> str:
        return ': '.join(part for part in (self.where, self.field, self.problem) if part)


@dataclass
class Findings:
    """All findings of a dataset, by rule.

    Attributes:
        by_rule: key of `RULES` -> what was found, in the order of the file.
        severities: rules whose severity differs in this check.
    """

    by_rule: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    severities: dict[str, Severity] = field(default_factory=dict)

    def add(self, rule: str, where: str, problem: str = '', field: str = '') -> None:
        """Add a finding."""
        assert rule in RULES, rule
        self.by_rule[rule].append(Finding(where, field, problem))

    def add_error(self, error: AnnotationError) -> None:
        """Add an error of a reader; readers take this method as `on_error`."""
        self.add(error.kind, error.where, error.problem, error.field)

    def of(self, severity: Severity) -> dict[str, list[Finding]]:
        """Return the violated rules of a severity, in the report's order."""
        return {
            name: self.by_rule[name]
            for name, rule in RULES.items()
            if self.by_rule.get(name) and self.severities.get(name, rule.severity) == severity
        }

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(map(len, self.of(severity).values()))
