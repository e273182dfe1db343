"""Which class the objects of mask images have: one for all, or as a JSON or CSV file says."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axialvs.data_tools.converters.labelled_video import ConversionError
from axialvs.datasets.class_names import repair_name

_COLUMNS = ('video', 'object', 'class')
_ANY = '*'


@dataclass(frozen=True, slots=True)
class ObjectClasses:
    """Classes by (video, object), where '*' stands for any.

    Attributes:
        names: Classes of pairs of video and object, both as text.
        source: The file, for messages.
    """

    names: dict[tuple[str, str], str] = field(default_factory=dict)
    source: str = ''

    def listed(self) -> tuple[str, ...]:
        """All classes, in the order in which they first appear."""
        return tuple(dict.fromkeys(self.names.values()))

    def class_of(self, video: str, identifier: int) -> str:
        """The class of an object; what is said of a single object goes before what is said of many.

        Raises:
            ConversionError: Nothing is said of the object.
        """
        own = _spellings(identifier)
        for key in [
            *((video, name) for name in own),
            (video, _ANY),
            *((_ANY, name) for name in own),
            (_ANY, _ANY),
        ]:
            if key in self.names:
                return self.names[key]
        raise ConversionError(
            f'{self.source}: has no class for object {own[0]} of video {video}; add it, or leave '
            f'the object out with --ignore-ids {own[0]}'
        )


def one_class(name: str) -> ObjectClasses:
    """All objects are of one class."""
    return ObjectClasses({(_ANY, _ANY): _class_name(name, '--class')}, '--class')


def read_object_classes(path: Path) -> ObjectClasses:
    """Reads a class file.

    A CSV file has the columns video, object and class; '*' or nothing stands for any. A JSON file
    is `{object: class}` for all videos, `{video: class}`, `{video: {object: class}}`, or
    YouTube-VOS's `{"videos": {video: {"objects": {object: {"category": class}}}}}`. An object is
    its id in the masks, or its colour, as `#ff8000`.

    Raises:
        FileNotFoundError: There is no such file.
        ConversionError: It is not as described, or says two things of one object.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file of classes')
    rows = _csv_rows(path) if path.suffix.lower() == '.csv' else _json_rows(path)
    names: dict[tuple[str, str], str] = {}
    for video, identifier, name in rows:
        key = (video or _ANY, _normal_id(identifier or _ANY))
        name = _class_name(name, str(path))
        if names.setdefault(key, name) != name:
            raise ConversionError(
                f'{path}: object {key[1]} of video {key[0]} is {names[key]!r} and {name!r}; an '
                'object has one class'
            )
    if not names:
        raise ConversionError(f'{path}: holds no classes')
    return ObjectClasses(names, str(path))


def _csv_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    reader = csv.DictReader(io.StringIO(_text_of(path)), skipinitialspace=True)
    if 'class' not in (reader.fieldnames or ()):
        raise ConversionError(
            f'{path}: its first line is {",".join(reader.fieldnames or ())!r}; it must '
            f'name the columns {",".join(_COLUMNS)}'
        )
    for row in reader:
        yield tuple((row.get(column) or '').strip() for column in _COLUMNS)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ConversionError(f'{path}: is not written in UTF-8 ({error}); save it so') from error


def _json_rows(path: Path) -> Iterator[tuple[str, str, Any]]:
    try:
        content = json.loads(_text_of(path))
    except json.JSONDecodeError as error:
        raise ConversionError(f'{path}: not a readable JSON file ({error})') from error
    if not isinstance(content, dict):
        raise ConversionError(f'{path}: is no JSON object; write {{"1": "dog", "2": "cat"}}')
    if isinstance(content.get('videos'), dict):
        content = {
            video: of.get('objects') if isinstance(of, dict) else of
            for video, of in content['videos'].items()
        }
    for key, value in content.items():
        if isinstance(value, dict):
            for identifier, name in value.items():
                yield key, identifier, name.get('category') if isinstance(name, dict) else name
        elif _is_id(key):
            yield _ANY, key, value
        else:
            yield key, _ANY, value


def _class_name(name: Any, source: str) -> str:
    repaired = repair_name(name) if isinstance(name, str) else ''
    if not repaired:
        raise ConversionError(f'{source}: {name!r} is not the name of a class')
    return repaired


def _is_id(text: str) -> bool:
    return text == _ANY or text.isdecimal() or text.startswith('#')


def _normal_id(text: str) -> str:
    """An id without leading zeros, a colour in small letters."""
    return str(int(text)) if text.isdecimal() else text.lower()


def _spellings(identifier: int) -> Sequence[str]:
    return str(identifier), f'#{identifier:06x}'
