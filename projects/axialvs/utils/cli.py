"""How commands end: with what they return, or with one line for an error that a user can mend."""

import errno
import io
import os
import re
import sys
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mmengine.config import DictAction

# Set it to see where an error came from.
TRACEBACK_VARIABLE = 'AXIALVS_TRACEBACK'

_FAILURE = 1
_INTERRUPTED = 130
_PACKAGE = str(Path(__file__).parents[1])
# What no code can mend, wherever it is met: no room, no access, a broken disk.
_SYSTEM_ERRORS = {
    errno.ENOSPC: 'make room, or write to another disk',
    errno.EDQUOT: 'your quota is used up: make room, or write to another disk',
    errno.EFBIG: 'files of this size are not allowed here: raise the limit, see ulimit -f',
    errno.EROFS: 'write to another folder',
    errno.EACCES: 'change its owner or mode, or choose another',
    errno.EPERM: 'change its owner or mode, or choose another',
    errno.EIO: 'check the disk',
}
# What torch puts before the traceback of an error in a data loader's worker process.
_WORKER_TRACEBACK = 'Original Traceback (most recent call last):'


def run_command(main: Callable[[], int | None]) -> int:
    """Runs a command's main function.

    An error that this package raises for its users (OSError, ValueError, ArithmeticError,
    RuntimeError and their subclasses) becomes one line on the error stream, and so does a full disk
    or a file without access wherever it is met. What other code raises is a defect or unforeseen,
    and keeps its traceback.

    Args:
        main: Returns an exit code, or None for success.

    Returns:
        The exit code.
    """
    try:
        return main() or 0
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return _INTERRUPTED
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        if os.environ.get(TRACEBACK_VARIABLE) or not (_is_ours(error) or _is_of_system(error)):
            raise
        program = Path(sys.argv[0]).name
        print(f'{program}: error: {_message(error)}', file=sys.stderr)
        return _FAILURE


def _is_ours(error: BaseException) -> bool:
    """Whether the error was raised by this package or the command itself, here or in a worker."""
    if _WORKER_TRACEBACK in str(error):
        frames = [line for line in str(error).splitlines() if line.lstrip().startswith('File "')]
        return bool(frames) and _PACKAGE in frames[-1]
    return _raised_in(error.__traceback__)


def _is_of_system(error: BaseException) -> bool:
    """Whether the operating system refused something that users can mend."""
    return isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS


def _raised_in(traceback: TracebackType | None) -> bool:
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get('__name__', '')
    return module == '__main__' or module.partition('.')[0] == __name__.partition('.')[0]


def _open_file(traceback: TracebackType | None) -> str | None:
    """The file that was in use where an error was raised: one of a write names none itself."""
    path = None
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            if isinstance(value, io.IOBase) and isinstance(getattr(value, 'name', None), str):
                path = value.name
        traceback = traceback.tb_next
    return path


def _message(error: BaseException) -> str:
    text = str(error)
    if _WORKER_TRACEBACK in text:
        # Its last line is `package.NameOfTheError: message`.
        text = text.strip().splitlines()[-1].partition(': ')[2]
    elif isinstance(error, OSError) and error.strerror:
        path = error.filename or _open_file(error.__traceback__)
        text = f'{path}: {error.strerror}' if path else error.strerror
        if error.errno in _SYSTEM_ERRORS:
            text += f'; {_SYSTEM_ERRORS[error.errno]}'
    return text.strip() or type(error).__name__


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
