"""The shipped configs: which there are, and what they say."""

import ast
import copy
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.runner import Runner

CONFIGS = Path(__file__).parents[1] / 'configs'
BASES = CONFIGS / '_base_'
ALL = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.glob('*/*.py')
    if path.parent.name != BASES.name
)
# What a run reads; other names are variables that configs share.
READ = {*inspect.signature(Runner.__init__).parameters, 'custom_imports', 'auto_scale_lr'}

Field = tuple[str, ...]


@cache
def _settings(path: Path) -> Config:
    return Config.fromfile(path)


def load(name: str | Path) -> Config:
    """A config by its path below `configs/`; reading one takes longer than copying it."""
    return copy.deepcopy(_settings(CONFIGS / name))


def head_of(path: Path) -> str:
    """The comment at the top of a config, in one line."""
    return ' '.join(re.match(r'(#.*\n)+', path.read_text()).group().replace('#', '').split())


def leaves(settings: dict, field: Field = ()) -> dict[Field, Any]:
    """All settings that are no dictionaries, or empty ones; a list is one setting."""
    found = {}
    for key, value in settings.items():
        here = (*field, key)
        found |= leaves(value, here) if isinstance(value, dict) and value else {here: value}
    return found


@dataclass(frozen=True)
class Statement:
    """A field that a config's text sets, with everything below it.

    Args:
        field: its path.
        typed: whether its value stands in the text; else it comes from a base's variable.
    """

    field: Field
    typed: bool

    def covers(self, field: Field) -> bool:
        """Whether a field is this one or below it."""
        return field[: len(self.field)] == self.field


def bases_of(path: Path) -> list[Path]:
    """The files that a config names as its bases."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and _names(node) == ['_base_']:
            bases = ast.literal_eval(node.value)
            return [(path.parent / base).resolve() for base in ([bases], bases)[_is_list(bases)]]
    return []


def statements_of(path: Path) -> list[Statement]:
    """What a config's own text sets, read from its syntax."""
    return [
        statement
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for name in _names(node)
        if name != '_base_'
        for statement in _statements(node.value, (name,))
    ]


def _is_list(value: object) -> bool:
    return not isinstance(value, str)


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _statements(node: ast.expr, field: Field) -> Iterator[Statement]:
    entries = _entries(node)
    if entries is None or '_delete_' in entries:
        yield Statement(field, typed=not _reads_base(node))
        return
    for key, value in entries.items():
        if key is None:  # all of another dictionary
            yield Statement(field, typed=False)
        else:
            yield from _statements(value, (*field, key))


def _entries(node: ast.expr) -> dict[str | None, ast.expr] | None:
    """Keys and values of a `dict(...)` or `{...}`; under None what it takes over whole."""
    if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
        entries = {keyword.arg: keyword.value for keyword in node.keywords}
        return entries | ({None: node.args[0]} if node.args else {})
    if isinstance(node, ast.Dict):
        return {getattr(k, 'value', None): v for k, v in zip(node.keys, node.values, strict=True)}
    return None


def _reads_base(node: ast.expr) -> bool:
    return any(getattr(part, 'id', None) == '_base_' for part in ast.walk(node))
