"""Typed reading of JSON records, with errors that say where in the file the fault is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from axialvs.utils.errors import AxialVSError

_MAX_SHOWN = 60
_MAX_INTEGER = 2**63 - 1  # ids and sizes become tensors


class AnnotationError(AxialVSError):
    """Something is wrong in an annotation file; the message names file, video, instance, field.

    Attributes:
        kind: What sort of fault it is, a key of `checking.findings.KINDS`.
        where: The record in words, empty for the file itself.
        field: The field of the record.
        problem: What is wrong with it.
    """

    def __init__(
        self,
        message: str,
        kind: str = 'layout',
        where: str = '',
        field: str = '',
        problem: str = '',
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.where = where
        self.field = field
        self.problem = problem or message


def shown(value: object) -> str:
    """The value as it stands in a message: cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}...'


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file a value stands.

    Attributes:
        path: The file.
        where: The record in words, as 'video 3, instance 7'; empty for the file itself.
    """

    path: str
    where: str = ''

    def error(self, field: str, problem: str, kind: str = 'layout') -> AnnotationError:
        """The error for a field of this record."""
        record = f' {self.where},' if self.where else ''
        message = f"{self.path}:{record} field '{field}': {problem}."
        return AnnotationError(message, kind, self.where, field, problem)


class Record:
    """A JSON object whose fields are read with their types checked.

    Args:
        values: What the JSON file has at this place.
        place: The place, for messages.

    Raises:
        AnnotationError: The value is not a JSON object.
    """

    def __init__(self, values: Any, place: Place) -> None:
        if not isinstance(values, dict):
            where = f' {place.where}:' if place.where else ''
            problem = f'{shown(values)} is not a JSON object'
            raise AnnotationError(
                f'{place.path}:{where} {problem}.', where=place.where, problem=problem
            )
        self.values: dict[str, Any] = values
        self.place = place

    def error(self, field: str, problem: str, kind: str = 'layout') -> AnnotationError:
        """The error for one of this record's fields."""
        return self.place.error(field, problem, kind)

    def get(self, field: str) -> Any:
        """The field's value; an error where it is missing."""
        if field not in self.values:
            raise self.error(field, 'is missing')
        return self.values[field]

    def integer(self, field: str, minimum: int | None = None) -> int:
        """The field as an integer, at least `minimum`."""
        value = self.get(field)
        if type(value) is not int:
            raise self.error(field, f'{shown(value)} is not an integer')
        if minimum is not None and value < minimum:
            raise self.error(field, f'{value} is below {minimum}')
        if abs(value) > _MAX_INTEGER:
            raise self.error(field, f'{shown(value)} does not fit into 64 bits')
        return value

    def unique_integer(self, field: str, taken: set[int]) -> int:
        """The field as an integer that no record before had; it is added to `taken`."""
        value = self.integer(field)
        if value in taken:
            raise self.error(field, f'{value} stands twice', 'duplicate-id')
        taken.add(value)
        return value

    def text(self, field: str) -> str:
        """The field as a text that is not blank."""
        value = self.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.error(field, f'{shown(value)} is not a name')
        return value

    def flag(self, field: str, default: bool) -> bool:
        """The field as 0, 1, false or true; `default` where it is missing."""
        value = self.values.get(field, default)
        if type(value) not in (int, bool) or value not in (0, 1):
            raise self.error(field, f'{shown(value)} is neither 0 nor 1')
        return bool(value)

    def sequence(self, field: str, length: int) -> list[Any]:
        """The field as a list of `length` entries, one a frame of the video."""
        value = self.get(field)
        if not isinstance(value, list):
            raise self.error(field, f'{shown(value)} is not a list')
        if len(value) != length:
            raise self.error(
                field,
                f'{len(value)} entries where the video has {length} frames (its "length")',
                'list-length',
            )
        return value

    def records(self, field: str, noun: str, also: str | None = None) -> Iterator['Record']:
        """The objects in a list, each with its place in words, as 'video 3, instance 7'.

        Args:
            field: The list.
            noun: What one entry is called.
            also: A field with the id of the video that the entry belongs to.
        """
        for entry, place in self.entries(field, noun, also):
            yield Record(entry, place)

    def entries(
        self, field: str, noun: str, also: str | None = None
    ) -> Iterator[tuple[Any, Place]]:
        """As `records`, but the values as they are, whether they are objects or not."""
        entries = self.get(field)
        if not isinstance(entries, list):
            raise self.error(field, f'{shown(entries)} is not a list')
        for index, entry in enumerate(entries):
            where = f'{field}[{index}]'
            if isinstance(entry, dict):
                known = f'{noun} {shown(entry["id"])}' if 'id' in entry else where
                where = f'video {shown(entry.get(also))}, {known}' if also else known
            yield entry, Place(self.place.path, where)
