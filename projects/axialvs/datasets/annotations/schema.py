"""Typed reading of JSON files, with errors that name the file, the record and the field."""

import json
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from axialvs.datasets.class_names import is_text, repair_name
from axialvs.utils.errors import AxialVSError

SPLIT_PARTS = ('main', 'holdout')  # to train on, to validate on; see split_dataset.py

_MAX_SHOWN = 60
_MAX_INTEGER = 2**63 - 1  # ids and sizes become tensors
_MAX_NUMBER = 1e18


class AnnotationError(AxialVSError):
    """An error in an annotation file; the message names the file, the record and the field.

    Attributes:
        kind: the rule of `data_tools.checking.rules` that is violated.
        where: the record in words, empty for the file itself.
        field: the field of the record.
        problem: what is wrong with its value.
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


OnError = Callable[[AnnotationError], None]


def shown(value: object) -> str:
    """Return the value's `repr`, truncated, for an error message."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}...'


def load_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not valid JSON.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such annotation file. {_missing_file_remedy(path)}')
    with open(path, 'rb') as file:
        data = file.read()
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # also bad text and numbers of 5,000 digits
        raise AnnotationError(f'{path}: not a readable JSON file ({error}).') from error


def _missing_file_remedy(path: str) -> str:
    stem = Path(path).stem
    for part in SPLIT_PARTS:
        if stem.endswith(f'_{part}'):
            whole = Path(path).with_stem(stem.removesuffix(f'_{part}'))
            return f'Files of this name are made by `axialvs split {whole}`; see docs/data.md.'
    return (
        'Check the path, in a config ann_file and data_root; docs/data.md says where the files of '
        'each dataset lie.'
    )


def is_number(value: object) -> bool:
    """Return whether a value is a finite number of a plausible size."""
    return type(value) in (int, float) and -_MAX_NUMBER < value < _MAX_NUMBER


class JsonRecord:
    """A JSON object whose fields are read with their types checked.

    An invalid field raises an `AnnotationError`. If `on_error` is given, the error is passed to it
    instead and the method returns None, so that all errors of a file can be collected.

    Args:
        values: the JSON object.
        path: the file, for messages.
        where: the record in words, as 'video 3, instance 7'; empty for the file itself.
        on_error: receives errors instead of raising them; records below this one inherit it.

    Raises:
        AnnotationError: if `values` is not a JSON object, even if `on_error` is given.
    """

    def __init__(
        self, values: Any, path: str, where: str = '', on_error: OnError | None = None
    ) -> None:
        if not isinstance(values, dict):
            problem = f'{shown(values)} is not a JSON object'
            raise AnnotationError(
                f'{path}:{where and f" {where}:"} {problem}.', where=where, problem=problem
            )
        self.values: dict[str, Any] = values
        self.path = path
        self.where = where
        self.on_error = on_error

    def error(self, field: str, problem: str, kind: str = 'layout') -> AnnotationError:
        """Return the error for one of this record's fields."""
        record = f' {self.where},' if self.where else ''
        message = f"{self.path}:{record} field '{field}': {problem}."
        return AnnotationError(message, kind, self.where, field, problem)

    def fail(self, field: str, problem: str, kind: str = 'layout') -> None:
        """Raise the error for a field, or pass it to `on_error`."""
        self._report(self.error(field, problem, kind))

    def _report(self, error: AnnotationError) -> None:
        if self.on_error is None:
            raise error
        self.on_error(error)

    def get(self, field: str) -> Any:
        """Return a required field."""
        if field not in self.values:
            self.fail(field, 'is missing')
        return self.values.get(field)

    def integer(
        self, field: str, minimum: int | None = None, maximum: int = _MAX_INTEGER
    ) -> int | None:
        """Return a field that must be an integer between `minimum` and `maximum`."""
        value = self.get(field)
        if type(value) is not int:
            if field in self.values:
                self.fail(field, f'{shown(value)} is not an integer')
        elif minimum is not None and value < minimum:
            self.fail(field, f'{value} is below {minimum}')
        elif abs(value) > maximum:
            bits = ', which does not fit into 64 bits' * (maximum == _MAX_INTEGER)
            self.fail(field, f'{shown(value)} is above {maximum}{bits}')
        else:
            return value
        return None

    def unique_integer(self, field: str, taken: set[int]) -> int | None:
        """Return a field that must be an integer not in `taken`, and add it there."""
        value = self.integer(field)
        if value in taken:
            self.fail(field, f'{value} is used twice', 'duplicate-id')
        elif value is not None:
            taken.add(value)
        return value

    def reference(self, field: str, known: Collection[int], noun: str) -> int | None:
        """Return a field that must be the id of another record of the file."""
        value = self.integer(field)
        if value is None or value in known:
            return value
        self.fail(field, f'{value} is not a known {noun} id', f'unknown-{noun}')
        return None

    def text(self, field: str) -> str | None:
        """Return a field that must be a non-blank string."""
        value = self.get(field)
        if is_text(value):
            return value
        if field in self.values:
            self.fail(field, f'{shown(value)} is not a name')
        return None

    def class_name(self, field: str) -> str | None:
        """Return a field that must be a class name, unrepaired."""
        value = self.text(field)
        if value is not None and not repair_name(value):  # control characters only
            self.fail(field, f'{shown(value)} is not a name')
            return None
        return value

    def flag(self, field: str, default: bool) -> bool:
        """Return a field that must be 0, 1, false or true; `default` if it is missing or wrong."""
        value = self.values.get(field, default)
        if type(value) in (int, bool) and value in (0, 1):
            return bool(value)
        self.fail(field, f'{shown(value)} is neither 0 nor 1')
        return default

    def sequence(self, field: str, length: int) -> list[Any] | None:
        """Return a field that must be a list with one entry per frame of the video."""
        value = self.get(field)
        if isinstance(value, list):
            if len(value) == length:
                return value
            problem = f'{len(value)} entries, but the video has {length} frames (its "length")'
            self.fail(field, problem, 'list-length')
        elif field in self.values:
            self.fail(field, f'{shown(value)} is not a list')
        return None

    def numbers(self, field: str, value: Any, count: int) -> bool:
        """Check that a value is a list of `count` finite numbers, or a number if `count` is 1."""
        members = [value] if count == 1 else value
        if not isinstance(members, list) or len(members) != count:
            self.fail(field, f'{shown(value)} is not a list of {count} numbers')
            return False
        if not all(map(is_number, members)):
            self.fail(field, f'{shown(value)} is not a finite number')
            return False
        return True

    def records(self, field: str, noun: str, owner: str = '') -> Iterator['JsonRecord']:
        """Yield the objects in a list as records with a description, such as 'video 3, instance 7'.

        Args:
            field: the list.
            noun: name of an entry in messages.
            owner: name of the record that an entry refers to by its field `{owner}_id`.
        """
        entries = self.get(field)
        if not isinstance(entries, list):
            if field in self.values:
                self.fail(field, f'{shown(entries)} is not a list')
            return
        for index, entry in enumerate(entries):
            where = f'{field}[{index}]'
            if isinstance(entry, dict):
                where = f'{noun} {shown(entry["id"])}' if 'id' in entry else where
                where = f'{owner} {shown(entry.get(f"{owner}_id"))}, {where}' if owner else where
            try:
                yield JsonRecord(entry, self.path, where, self.on_error)
            except AnnotationError as error:
                self._report(error)
