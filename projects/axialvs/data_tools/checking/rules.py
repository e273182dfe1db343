"""Rules of the dataset check, and their violations."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from axialvs.datasets.annotations.schema import AnnotationError

Severity = Literal['error', 'warning', 'note']
SEVERITIES: tuple[Severity, ...] = ('error', 'warning', 'note')


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the dataset check.

    Attributes:
        severity: 'error' if training fails or cannot use the record; 'warning' if it runs, but
            probably not as intended; 'note' for valid data worth knowing about.
        title: description of a violation.
        remedy: how to fix it, or its effect if it is not fixed.
    """

    severity: Severity
    title: str
    remedy: str


def _rules(severity: Severity, **rules: tuple[str, str]) -> dict[str, Rule]:
    return {
        name.replace('_', '-'): Rule(severity, title, remedy)
        for name, (title, remedy) in rules.items()
    }


# In the order of the report. The first ones are raised by the annotation readers.
RULES: dict[str, Rule] = {
    **_rules(
        'error',
        layout=('field missing or of a wrong type', 'docs/data.md describes the layout'),
        duplicate_id=('id used twice', 'use unique ids'),
        duplicate_name=('category name used twice', 'rename or merge the categories'),
        unknown_video=('instance of an unknown video', 'add the video or remove the instance'),
        unknown_image=('annotation of an unknown image', 'add the image or remove the annotation'),
        unknown_category=('instance of an unknown category', 'add the category'),
        list_length=('list without one entry per frame', 'use null for frames without the object'),
        size_differs=('size or length that differs from the video', 'make them equal'),
        mask_size=('mask of a different size than its video', 'write masks at video size'),
        mask_broken=('mask that cannot be decoded', 'use COCO RLE, or null if absent'),
        polygon_broken=('invalid polygon', 'correct or remove it and keep the others'),
        class_without_category=(
            'class of the config without a category in the file',
            'correct the class list, or set allow_unlisted_categories=True to not train this class',
        ),
        category_without_class=(
            'category of the file that is not a class of the config',
            'correct the class list, or set allow_unlisted_categories=True to ignore it',
        ),
        class_count=(
            'number of classes that differs from the model head',
            'adjust num_things_classes, num_stuff_classes and the class weights to the data',
        ),
        nothing_to_learn=('file without objects to train on', 'see the other findings'),
        image_missing=('missing image', 'check the image folder'),
        image_unreadable=('image that cannot be decoded', 'replace the file'),
        image_truncated=('truncated image', 'copy or extract it again'),
        image_size=('image of a different size than in the file', 'correct the file'),
        segment_missing=('segment missing from the JSON file', 'add it to segments_info'),
        segment_unseen=('segment without pixels', 'remove it from segments_info'),
    ),
    **_rules(
        'warning',
        name_repaired=('category name with wrong encoding or spaces', 'it is corrected on reading'),
        category_unused=('category without instances', 'it cannot be trained'),
        video_empty=('video without objects to train on', 'training ignores it'),
        video_short=('video shorter than a clip', 'its last frame is repeated to fill the clip'),
        frame_narrow=(
            'frames with an extreme aspect ratio',
            'they use gigabytes of memory when resized by the short side; crop them',
        ),
        frame_twice=('image file listed twice', 'list each frame once'),
        frame_order=('frames not sorted by number', 'sort 2.jpg before 10.jpg'),
        identity_lost=(
            'most objects are in a single frame of their video',
            'if ids are not consistent over frames, use one id per object in all frames',
        ),
        track_unseen=('instance that is never visible', 'it is ignored'),
        mask_empty=('mask without pixels', 'use null; the object is treated as absent'),
        mask_twice=('two instances with the same mask', 'remove one of them'),
        box_misses_mask=('box that does not enclose its mask', 'training uses boxes of masks'),
        box_without_mask=('box in a frame without a mask', 'the object is treated as absent'),
        area_differs=('area that differs from its mask', 'APs, APm and APl use the field areas'),
        object_tiny=('instance that is very small in all frames', 'it is hard to learn'),
        unlabeled_pixels=('frame that is mostly unlabeled', 'training ignores these pixels'),
    ),
    **_rules(
        'note',
        no_annotations=('file without annotations', 'it can only be used for testing'),
        frame_same=('image identical to another one of its video', 'frames are repeated'),
        crowd=('crowd', 'it is ignored in training and evaluation'),
        class_without_stills=('class without a category in the still images', ''),
        category_dropped=('category of the still images that is mapped to no class', ''),
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: the record, its field or an empty string, and the problem."""

    where: str
    field: str
    problem: str

    def __str__(self) -> str:
        return ': '.join(part for part in (self.where, self.field, self.problem) if part)


@dataclass
class Findings:
    """All findings of a dataset, by rule.

    Attributes:
        by_rule: findings by key of `RULES`, in file order.
        severities: severities that override those of `RULES` in this check.
    """

    by_rule: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    severities: dict[str, Severity] = field(default_factory=dict)

    def add(self, rule: str, where: str, problem: str = '', field: str = '') -> None:
        """Add a finding."""
        assert rule in RULES, rule
        self.by_rule[rule].append(Finding(where, field, problem))

    def add_error(self, error: AnnotationError) -> None:
        """Add an error of an annotation reader, as its `on_error` callback."""
        self.add(error.kind, error.where, error.problem, error.field)

    def of(self, severity: Severity) -> dict[str, list[Finding]]:
        """Return the violated rules of a severity, in report order."""
        return {
            name: self.by_rule[name]
            for name, rule in RULES.items()
            if self.by_rule.get(name) and self.severities.get(name, rule.severity) == severity
        }

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(map(len, self.of(severity).values()))
