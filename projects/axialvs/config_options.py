"""The option `--cfg-options` of the tools: mmengine's, with its mistakes in one line."""

import re
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

# Blanks within a name, which mmengine drops as it does those around brackets and commas.
_INNER_BLANKS = re.compile(r'(?<=[^\s,()\[\]])\s+(?=[^\s,()\[\]])')
_STAND_IN = '\0'  # no argument can hold it


class ConfigOptions(DictAction):
    """As in mmengine, but blanks in paths and names stay.

    What is no KEY=VALUE, or has a bracket too many, ends with argparse's error instead of a
    traceback.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        for value in values:
            if not value.partition('=')[1]:
                raise ArgumentError(
                    self, f"'{value}' is no KEY=VALUE; write no space around = and in a value"
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            raise ArgumentError(self, str(error)) from error

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """The value of an option."""
        text = val.strip()
        if not text.strip('\'"').startswith(('(', '[')) and ',' not in text:
            return DictAction._parse_int_float_bool(text.strip('\'"'))
        kept = _INNER_BLANKS.sub(lambda blanks: _STAND_IN * len(blanks[0]), text)
        return _with_blanks(DictAction._parse_iterable(kept))


def _with_blanks(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_STAND_IN, ' ')
    return type(value)(map(_with_blanks, value)) if isinstance(value, list | tuple) else value
