"""Label maps: matching a list of class names with the categories of an annotation file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from axialvs.datasets.annotations.youtube_vis import AnnotationError, Category
from axialvs.datasets.class_names import (
    normalise_name,
    resolve_class_list,
)
from axialvs.utils.errors import AxialVSError


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Classes in the order of their labels, and the file's categories that they stand for.

    Attributes:
        classes: Class names; the label is the index.
        category_ids: The file's category id of each class, or None where it has none.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int | None, ...]

    def label_of(self, category_id: int) -> int | None:
        """The label of a category of the file, or None where it is not among the classes."""
        try:
            return self.category_ids.index(category_id)
        except ValueError:
            return None


def match_classes(
    categories: Sequence[Category],
    classes: str | Sequence[str] | None,
    path: str,
    allow_unlisted: bool = False,
) -> LabelMap:
    """Matches a class list with a file's categories by name.

    Args:
        categories: Of the file.
        classes: Name of an official list, names, or None for the file's own in its order.
        path: The file, for messages.
        allow_unlisted: Whether classes that the file lacks, and categories of the file that are
            not in the list, are allowed.

    Raises:
        AnnotationError: Classes and categories are not the same and `allow_unlisted` is False.
        ValueError: The class list itself is wrong.
    """
    if classes is None:
        return LabelMap(
            tuple(category.name for category in categories),
            tuple(category.id for category in categories),
        )
    names = resolve_class_list(classes)
    absent, unlisted = compare_classes(names, categories)
    if (absent or unlisted) and not allow_unlisted:
        raise AnnotationError(
            f"{path}: field 'categories': the file does not have the classes {classes!r}. "
            f'Classes without a category: {absent}. Categories that are no class: '
            f'{[category.name for category in unlisted]}. Give the right class list, or set '
            'allow_unlisted_categories=True to leave out what does not match.'
        )
    ids = {normalise_name(category.name): category.id for category in categories}
    return LabelMap(names, tuple(ids.get(normalise_name(name)) for name in names))


def compare_classes(
    names: Sequence[str], categories: Sequence[Category]
) -> tuple[list[str], list[Category]]:
    """Class names that no category has, and categories whose name is no class."""
    classes = {normalise_name(name) for name in names}
    known = {normalise_name(category.name) for category in categories}
    return (
        [name for name in names if normalise_name(name) not in known],
        [category for category in categories if normalise_name(category.name) not in classes],
    )


# COCO's name -> names that video data sets have for it; the first that the class list has counts.
# A car is not every vehicle of OVIS, but each of the three is one. The release also takes bicycles
# for motorbikes and skis for snowboards, which we do not: they look different.
COCO_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    'motorcycle': ('motorbike',),
    'car': ('sedan', 'Vehical'),
    'bus': ('Vehical',),
    'truck': ('Vehical',),
    'frisbee': ('flying_disc',),
}
# The same word for something else: COCO's mouse lies beside a keyboard, that of YouTube-VIS eats.
COCO_HOMONYMS = frozenset({'mouse'})


@dataclass(frozen=True, slots=True)
class CocoLabelMap(LabelMap):
    """A label map in which several categories may share a class.

    Attributes:
        classes: Class names; the label is the index.
        category_ids: The first category of each class, or None where COCO has none.
        labels: Label of every category id that stands for a class.
        dropped: Names of the categories that stand for none, in the file's order.
    """

    labels: Mapping[int, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    def label_of(self, category_id: int) -> int | None:
        """The label of a category of the file, or None where it is dropped."""
        return self.labels.get(category_id)


def match_coco_classes(
    categories: Sequence[Category],
    classes: str | Sequence[str] | None,
    path: str,
    synonyms: Mapping[str, str | Sequence[str]] | None = None,
) -> CocoLabelMap:
    """Matches COCO's categories with a class list: by name, then by the table of synonyms.

    Case, and whether words are parted by blanks or underscores, do not count.

    Args:
        categories: Of the COCO file.
        classes: Name of an official list, names, or None for COCO's own categories.
        path: The file, for messages.
        synonyms: Class or classes of further COCO names; what stands here overrides both the
            equal name and the tables, and an empty sequence drops the category.

    Raises:
        ValueError: The class list is wrong, no category stands for any class, or `synonyms`
            names a category that the file lacks or only classes that the list lacks.
    """
    names = [c.name for c in categories] if classes is None else resolve_class_list(classes)
    names = tuple(names)
    labels_of_names = {_key(name): label for label, name in enumerate(names)}
    own = {_key(name): _sequence(targets) for name, targets in (synonyms or {}).items()}
    _check_synonyms(own, categories, labels_of_names, path)
    labels: dict[int, int] = {}
    for category in categories:
        for target in _targets(category.name, own, homonyms=classes is not None):
            if _key(target) in labels_of_names:
                labels[category.id] = labels_of_names[_key(target)]
                break
    if not labels:
        raise AxialVSError(
            f'{path}: none of its {len(categories)} categories stands for a class of {classes!r}. '
            'Give the right class list, or `synonyms`.'
        )
    first = {label: category_id for category_id, label in reversed(labels.items())}
    return CocoLabelMap(
        names,
        tuple(first.get(label) for label in range(len(names))),
        labels,
        tuple(category.name for category in categories if category.id not in labels),
    )


def _targets(name: str, own: Mapping[str, tuple[str, ...]], homonyms: bool) -> tuple[str, ...]:
    """Class names to look for, the best first."""
    key = _key(name)
    if key in own:
        return own[key]
    if homonyms and key in COCO_HOMONYMS:
        return ()
    return (name, *COCO_SYNONYMS.get(key, ()))


def _check_synonyms(
    own: Mapping[str, tuple[str, ...]],
    categories: Sequence[Category],
    labels_of_names: Mapping[str, int],
    path: str,
) -> None:
    known = {_key(category.name) for category in categories}
    for name, targets in own.items():
        if name not in known:
            raise AxialVSError(f'synonyms: {name!r} is no category of {path}.')
        if targets and not any(_key(target) in labels_of_names for target in targets):
            raise AxialVSError(f'synonyms: {name!r}: none of {targets} is among the classes.')


def _sequence(targets: str | Sequence[str]) -> tuple[str, ...]:
    return (targets,) if isinstance(targets, str) else tuple(targets)


def _key(name: str) -> str:
    return normalise_name(name).replace('_', ' ')
