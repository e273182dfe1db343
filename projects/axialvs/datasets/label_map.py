"""Which label each category of an annotation file has."""

from collections.abc import Sequence
from dataclasses import dataclass

from axialvs.datasets.annotations import AnnotationError, Category
from axialvs.datasets.class_lists import normalise_name, resolve_class_list


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
