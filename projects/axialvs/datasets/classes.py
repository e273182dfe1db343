"""Label maps: matching a list of class names with the categories of an annotation file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import Category
from axialvs.datasets.class_names import normalize_name, resolve_class_list
from axialvs.utils.errors import AxialVSError


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Class names in the order of their labels, and the file's category of each.

    Attributes:
        classes: class names; the label is the index.
        category_ids: the file's category id of each class, or None if it has none.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int | None, ...]

    def label_of(self, category_id: int) -> int | None:
        """Return the label of a category, or None if it is not among the classes."""
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
    """Match a class list with a file's categories by name.

    Args:
        categories: of the file.
        classes: name of an official list, names, or None for the file's own in its order.
        path: the file, for messages.
        allow_unlisted: whether classes that the file lacks, and categories of the file that are
            not in the list, are allowed.

    Raises:
        AnnotationError: if two categories have the same name, or classes and categories differ and
            `allow_unlisted` is False.
        AxialVSError: if the class list itself is wrong.
    """
    for first, second in same_names(categories):
        raise AnnotationError(
            f"{path}: category {second.id}, field 'name': {second.name!r} is also the name of "
            f'category {first.id}, so names are ambiguous; rename or merge the categories.',
            'duplicate-name',
        )
    if classes is None:
        return LabelMap(tuple(c.name for c in categories), tuple(c.id for c in categories))
    names = resolve_class_list(classes)
    absent, unlisted = compare_classes(names, categories)
    if (absent or unlisted) and not allow_unlisted:
        raise AnnotationError(
            f"{path}: field 'categories': the categories are not the classes {classes!r}. "
            f'Classes without a category: {absent}. Categories that are not a class: '
            f'{[category.name for category in unlisted]}. Give the right class list, or set '
            'allow_unlisted_categories=True to ignore what does not match.',
            'class-without-category' if absent else 'category-without-class',
        )
    ids = {normalize_name(category.name): category.id for category in categories}
    return LabelMap(names, tuple(ids.get(normalize_name(name)) for name in names))


def same_names(categories: Sequence[Category]) -> list[tuple[Category, Category]]:
    """Return pairs of categories (first, later one) whose names do not differ."""
    seen: dict[str, Category] = {}
    pairs = [(seen.setdefault(normalize_name(c.name), c), c) for c in categories]
    return [(first, second) for first, second in pairs if first is not second]


def compare_classes(
    names: Sequence[str], categories: Sequence[Category]
) -> tuple[list[str], list[Category]]:
    """Return class names without a category, and categories whose name is not a class."""
    classes = {normalize_name(name) for name in names}
    known = {normalize_name(category.name) for category in categories}
    return (
        [name for name in names if normalize_name(name) not in known],
        [category for category in categories if normalize_name(category.name) not in classes],
    )


# COCO's name -> names in video datasets; the first one in the class list is used. OVIS's vehicles
# include cars, buses and trucks. The release also maps bicycles to motorbikes and skis to
# snowboards; we do not, because they look different.
COCO_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    'motorcycle': ('motorbike',),
    'car': ('sedan', 'Vehical'),
    'bus': ('Vehical',),
    'truck': ('Vehical',),
    'frisbee': ('flying_disc',),
}
# Same name, different class: COCO's mouse is a computer mouse, that of YouTube-VIS an animal.
COCO_HOMONYMS = frozenset({'mouse'})


@dataclass(frozen=True, slots=True)
class CocoLabelMap(LabelMap):
    """A label map in which several categories may share a class.

    Attributes:
        classes: class names; the label is the index.
        category_ids: the first category of each class, or None if COCO has none.
        labels: label of every category id that is mapped to a class.
        dropped: names of the categories that are mapped to none, in the file's order.
    """

    labels: Mapping[int, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    def label_of(self, category_id: int) -> int | None:
        """Return the label of a category, or None if it is dropped."""
        return self.labels.get(category_id)


def match_coco_classes(
    categories: Sequence[Category],
    classes: str | Sequence[str] | None,
    path: str,
    synonyms: Mapping[str, str | Sequence[str]] | None = None,
) -> CocoLabelMap:
    """Match COCO's categories with a class list: by name, then by the table of synonyms.

    Names are compared without case, and with underscores equal to spaces.

    Args:
        categories: of the COCO file.
        classes: name of an official list, names, or None for COCO's own categories.
        path: the file, for messages.
        synonyms: class or classes of further COCO names. Overrides both equal names and the
            tables; an empty sequence drops the category.

    Raises:
        AxialVSError: if the class list is wrong, no category is mapped to any class, or `synonyms`
            names a category that the file lacks or only classes that the list lacks.
    """
    if classes is None:
        names = match_classes(categories, None, path).classes
    else:
        names = resolve_class_list(classes)
    labels_of_names = {_key(name): label for label, name in enumerate(names)}
    own = {_key(name): _as_tuple(targets) for name, targets in (synonyms or {}).items()}
    _check_synonyms(own, categories, labels_of_names, path)
    labels: dict[int, int] = {}
    for category in categories:
        for target in _targets(category.name, own, homonyms=classes is not None):
            if _key(target) in labels_of_names:
                labels[category.id] = labels_of_names[_key(target)]
                break
    if not labels:
        raise AxialVSError(
            f'{path}: none of its {len(categories)} categories matches a class of {classes!r}. '
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
    """Return class names to look for, the best first."""
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
            raise AxialVSError(f'synonyms: {name!r} is not a category of {path}.')
        if targets and not any(_key(target) in labels_of_names for target in targets):
            raise AxialVSError(f'synonyms: {name!r}: none of {targets} is among the classes.')


def _as_tuple(targets: str | Sequence[str]) -> tuple[str, ...]:
    return (targets,) if isinstance(targets, str) else tuple(targets)


def _key(name: str) -> str:
    return normalize_name(name).replace('_', ' ')
