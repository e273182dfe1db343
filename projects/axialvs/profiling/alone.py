"""Measures each case of a command in a process of its own, so that one does not hide another."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from axialvs.utils.errors import AxialVSError

# As `axialvs.utils.cli.run_command` says an error: `NAME.py: error: MESSAGE`.
_ERROR = '.py: error: '


def run_alone(
    case: str, arguments: Sequence[object], variables: Mapping[str, str] = MappingProxyType({})
) -> dict:
    """Runs this command anew, with what it was given and with arguments for one case.

    Args:
        case: what to call it in an error.
        arguments: what is added to the command line.
        variables: what is added to the environment.

    Returns:
        The JSON object of the last line that it prints.

    Raises:
        RuntimeError: it failed; the message has its own.
    """
    command = [sys.executable, *sys.argv, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})
    if run.returncode:
        raise AxialVSError(f'{case}: {_reason(run)}')
    return json.loads(run.stdout.splitlines()[-1])


def _reason(run: subprocess.CompletedProcess) -> str:
    """Its error in a line, or all that it said."""
    said = run.stderr.strip()
    if run.returncode < 0:
        return f'ended by signal {-run.returncode}, which a lack of memory may be. {said}'.strip()
    last = said.splitlines()[-1] if said else ''
    return last.partition(_ERROR)[2] or said or f'exit status {run.returncode}'
