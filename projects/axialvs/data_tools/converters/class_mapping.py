"""Class mapping of the objects in mask images: one class for all, or a JSON or CSV file."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axialvs.data_tools.converters.labeled_video import ConversionError
from axialvs.datasets.annotations.schema import is_text, load_json
from axialvs.datasets.class_names import repair_name
from axialvs.utils.files import read_utf8

_COLUMNS = ('video', 'object', 'class')
_ANY = '*'


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """Classes by (video, object), with '*' as wildcard.

    Attributes:
        names: class names by (video, object), both as str.
        source: the file, for error messages.
        used: keys of `names` that objects were found for.
    """

    names: dict[tuple[str, str], str] = field(default_factory=dict)
    source: str = ''
    used: set[tuple[str, str]] = field(default_factory=set)

    def listed(self) -> tuple[str, ...]:
        """Return all classes in order of first appearance."""
        return tuple(dict.fromkeys(self.names.values()))

    def unused(self) -> list[str]:
        """Return the entries that no object was found for, as 'video: object'."""
        return [': '.join(key) for key in self.names if key not in self.used]

    def class_of(self, video: str, identifier: int) -> str:
        """Return the class of an object; specific entries override wildcards.

        Raises:
            ConversionError: if the object has no class.
        """
        own = _spellings(identifier)
        for key in [
            *((video, name) for name in own),
            (video, _ANY),
            *((_ANY, name) for name in own),
            (_ANY, _ANY),
        ]:
            if key in self.names:
                self.used.add(key)
                return self.names[key]
        raise ConversionError(
            f'{self.source}: no class for object {own[0]} of video {video}; add it, or skip the '
            f'object with --ignore-ids {own[0]}'
        )


def one_class(name: str) -> ClassMapping:
    """Map all objects to one class."""
    return ClassMapping({(_ANY, _ANY): _class_name(name, '--class')}, '--class')


def read_class_mapping(path: Path) -> ClassMapping:
    """Read a class mapping from a CSV or JSON file.

    A CSV file has the columns video, object and class; '*' or an empty cell matches any. A JSON
    file is `{object: class}` for all videos, `{video: class}`, `{video: {object: class}}`, or
    YouTube-VOS's `{"videos": {video: {"objects": {object: {"category": class}}}}}`. Objects are
    their ids in the masks, or colors such as `#ff8000`.

    Raises:
        FileNotFoundError: if the file does not exist.
        ConversionError: if the file is invalid, or an object has two classes.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such class file')
    rows = _csv_rows(path) if path.suffix.lower() == '.csv' else _json_rows(path)
    names: dict[tuple[str, str], str] = {}
    for video, identifier, name in rows:
        key = (video.strip() or _ANY, _normal_id(identifier.strip() or _ANY))
        name = _class_name(name, str(path))
        if names.setdefault(key, name) != name:
            raise ConversionError(
                f'{path}: object {key[1]} of video {key[0]} has the classes {names[key]!r} and '
                f'{name!r}; keep one of them'
            )
    if not names:
        raise ConversionError(f'{path}: contains no classes')
    return ClassMapping(names, str(path))


def _csv_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    reader = csv.DictReader(io.StringIO(read_utf8(path)), skipinitialspace=True)
    try:
        columns, rows = list(filter(None, reader.fieldnames or ())), list(reader)
    except csv.Error as error:
        raise ConversionError(f'{path}: is not a CSV file ({error})') from error
    if 'class' not in columns or len(columns) > len({*columns} & {*_COLUMNS}):
        raise ConversionError(
            f'{path}: the header is {",".join(columns)!r}; use the column class and, if needed, '
            'video and object'
        )
    for row in rows:
        if any(row.get(None, ())):
            raise ConversionError(f'{path}: {row[None]} is beyond the last column; quote commas')
        yield tuple(row.get(column) or '' for column in _COLUMNS)


def _json_rows(path: Path) -> Iterator[tuple[str, str, Any]]:
    content = load_json(path)
    if not isinstance(content, dict):
        raise ConversionError(f'{path}: is not a JSON object; write {{"1": "dog", "2": "cat"}}')
    if isinstance(content.get('videos'), dict):
        content = {
            video: of.get('objects') if isinstance(of, dict) else of
            for video, of in content['videos'].items()
        }
    for key, value in content.items():
        if isinstance(value, dict):
            for identifier, name in value.items():
                yield key, identifier, name.get('category') if isinstance(name, dict) else name
        elif _is_id(key.strip()):
            yield _ANY, key, value
        else:
            yield key, _ANY, value


def _class_name(name: Any, source: str) -> str:
    repaired = repair_name(name) if is_text(name) else ''
    if not repaired:
        raise ConversionError(f'{source}: {name!r} is not a class name')
    return repaired


def _is_id(text: str) -> bool:
    return text == _ANY or text.isdecimal() or text.startswith('#')


def _normal_id(text: str) -> str:
    """Normalize an id to no leading zeros, or a color to lower case."""
    return text.lstrip('0') or '0' if text.isdecimal() else text.lower()


def _spellings(identifier: int) -> Sequence[str]:
    return str(identifier), f'#{identifier:06x}'
