"""What all command-line tools share: exit codes, one-line errors and `--cfg-options`."""

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
# torch puts this before the traceback of an error that a data loader's worker raised.
_WORKER_TRACEBACK = 'Original Traceback (most recent call last):'


def run_command(main: Callable[[], int | None]) -> int:
    """Run a command and report errors meant for users in one line.

    The end of a pipe that nobody reads any more, as of `COMMAND | head -1`, is no error to report.
    `AxialVSError` and `OSError` are reported; every other error keeps its traceback, as do these
    if the environment variable `AXIALVS_TRACEBACK` is set.

    Args:
        main: returns an exit code, or None for success.

    Returns:
        The exit code: that of `main`, or 2 after a reported error, 130 after Ctrl-C, 141 if the
        output's reader is gone.
    """
    try:
        try:
            return main() or 0
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer cannot be written when the process ends either.
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
    """One line that says what is wrong."""
    text = str(error).strip()
    if _WORKER_TRACEBACK in text:
        # The last line is `package.ErrorClass: message`.
        text = text.splitlines()[-1].partition(': ')[2]
    elif isinstance(error, OSError) and error.strerror:
        text = f'{error.filename}: {error.strerror}' if error.filename else error.strerror
    return text or type(error).__name__


class ConfigOptions(argparse.Action):
    """Parse KEY=VALUE options as mmengine's `DictAction` does, without importing mmengine.

    Unlike there, blanks in values stay, and nested Python literals such as `[{'type': 'A'}]` are
    read.
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
            if not separator:
                raise argparse.ArgumentError(
                    self, f"'{text}' is not KEY=VALUE; write no blank around = and quote values"
                )
            try:
                options[key] = _parse_value(value.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
                raise argparse.ArgumentError(
                    self,
                    f"'{text}': unreadable value; check brackets and quotes, and put code "
                    'such as dict(...) into a config file',
                ) from error
        setattr(namespace, self.dest, options)


def script_parser(description: str) -> argparse.ArgumentParser:
    """Parser whose help shows a docstring with its line breaks."""
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
        help=f'settings that replace those of the config, such as {example}',
    )


def _parse_value(text: str) -> Any:
    if not text.startswith(tuple('([{\'"')) and ',' not in text and 'dict(' not in text:
        return _parse_scalar(text)
    if '{' not in text:
        # Quote the bare words of lists such as [a, b c].
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
    if text == 'None':  # 'none' is a name, as of a temporal layer
        return None
    return {'true': True, 'false': False}.get(text.lower(), text)
