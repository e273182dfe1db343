"""Common parts of the command-line tools: exit codes, one-line errors and `--cfg-options`."""

import argparse
import ast
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from axialvs.utils.errors import AxialVSError

BAD_INPUT = 2  # argparse uses the same for bad arguments
INTERRUPTED = 130
CLOSED_PIPE = 141  # 128 + SIGPIPE
# Printed by torch before the traceback of an error in a dataloader worker.
_WORKER_TRACEBACK = 'Original Traceback (most recent call last):'


def run_command(main: Callable[[], int | None]) -> int:
    """Run a command and print user errors in one line.

    `AxialVSError` and `OSError` are printed without a traceback, unless the environment variable
    `AXIALVS_TRACEBACK` is set. A closed pipe, as in `COMMAND | head -1`, is not reported.

    Args:
        main: the command, which returns an exit code, or None for success.

    Returns:
        The exit code of `main`, or 2 after a user error, 130 after Ctrl-C, 141 after a closed pipe.
    """
    try:
        try:
            return main() or 0
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Prevents a second error when the remaining buffer is flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return CLOSED_PIPE
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except (AxialVSError, OSError) as error:
        if os.environ.get('AXIALVS_TRACEBACK'):
            raise
        print(f'{Path(sys.argv[0]).name}: error: {error_message(error)}', file=sys.stderr)
        return BAD_INPUT


def error_message(error: Exception) -> str:
    """Format an error in one line."""
    text = str(error).strip()
    if _WORKER_TRACEBACK in text:
        # The last line is `package.ErrorClass: message`.
        text = text.splitlines()[-1].partition(': ')[2]
    elif isinstance(error, OSError) and error.strerror:
        text = f'{error.filename}: {error.strerror}' if error.filename else error.strerror
    return text or type(error).__name__


def number_from(minimum: float, maximum: float = 10**9, kind: type = int) -> Callable[[str], float]:
    """Return an argparse type for finite numbers in a range, both ends inclusive."""

    def parse(text: str) -> float:
        value = kind(text)
        if not minimum <= value <= maximum:  # also NaN
            raise argparse.ArgumentTypeError(f'{text}: must be from {minimum} to {maximum}')
        return value

    parse.__name__ = kind.__name__  # in argparse's message for other text
    return parse


class ConfigOptions(argparse.Action):
    """Parse KEY=VALUE options like mmengine's `DictAction`, without importing mmengine.

    In contrast to `DictAction`, spaces in values are kept, and nested Python literals such as
    `[{'type': 'A'}]` are supported.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest) or {})
        for text in values:
            key, separator, value = text.partition('=')
            if not separator or not all(key.split('.')):
                raise argparse.ArgumentError(
                    self, f"'{text}' is not KEY=VALUE; omit spaces around = and quote values"
                )
            try:
                options[key] = _parse_value(value.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
                raise argparse.ArgumentError(
                    self,
                    f"'{text}': invalid value; check brackets and quotes, and move code such as "
                    'dict(...) to a config file',
                ) from error
        setattr(namespace, self.dest, options)


def script_parser(description: str) -> argparse.ArgumentParser:
    """Create a parser whose help keeps the line breaks of a docstring."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_config_options(
    parser: argparse._ActionsContainer, example: str = 'train_cfg.max_iters=100'
) -> None:
    """Add `--cfg-options`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help=f'settings that override the config, such as {example}',
    )


def _parse_value(text: str) -> Any:
    if not text.startswith(tuple('([{\'"')) and ',' not in text and 'dict(' not in text:
        return _parse_scalar(text)
    if '{' not in text:
        # Quote the unquoted strings of lists such as [a, b c].
        text = re.sub(
            r'\'[^\']*\'|"[^"]*"|[^\s,()\[\]\'"]([^,()\[\]\'"]*[^\s,()\[\]\'"])?',
            lambda word: word[0] if word[0][0] in '\'"' else repr(_parse_scalar(word[0])),
            text,
        )
    value = ast.literal_eval(text)
    return list(value) if isinstance(value, tuple) and not text.startswith('(') else value


def _parse_scalar(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    if text == 'None':  # 'none' is a string, such as a type of temporal layers
        return None
    return {'true': True, 'false': False}.get(text.lower(), text)
