"""Run functions in forks of this process, which saves the imports."""

import contextlib
import io
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

TOOLS = Path(__file__).parents[1] / 'tools'
PATIENCE = 300  # seconds


class Ended(NamedTuple):
    """Exit status and output of a process."""

    code: int
    output: str


def fork(function: Callable[[], object], log: IO[bytes]) -> int:
    """Call a function in a fork that writes to a file, and return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code: object = 1
    try:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, 'w'), line_buffering=True)
        function()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def run_ranks(function: Callable[[int], object], count: int = 2) -> list[Ended]:
    """Call `function(rank)` in processes with torchrun's variables; stop all if one fails."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        meeting = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(probe.getsockname()[1])}
    meeting |= {'WORLD_SIZE': str(count), 'LOCAL_WORLD_SIZE': str(count)}

    def rank_process(rank: int) -> Callable[[], object]:
        def call() -> None:
            os.environ.update(meeting, RANK=str(rank), LOCAL_RANK=str(rank))
            function(rank)

        return call

    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        running = {fork(rank_process(rank), log): rank for rank, log in enumerate(logs)}
        codes: dict[int, int] = {}
        until = time.monotonic() + PATIENCE
        while running:
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[running.pop(pid)] = os.waitstatus_to_exitcode(status)
            if any(codes.values()) or time.monotonic() > until:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        for log in logs:
            log.seek(0)
        return [Ended(codes[rank], log.read().decode()) for rank, log in enumerate(logs)]


def _become(tool: str, arguments: Sequence[object]) -> None:
    sys.argv = [str(TOOLS / tool), *map(str, arguments)]
    runpy.run_path(sys.argv[0], run_name='__main__')


def run_tool(tool: str, *arguments: object) -> Ended:
    """Run a tool in a separate process."""
    with tempfile.TemporaryFile() as log:
        pid = fork(lambda: _become(tool, arguments), log)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        log.seek(0)
        return Ended(code, log.read().decode())


def run_tool_in_ranks(tool: str, *arguments: object, count: int = 2) -> list[Ended]:
    """Run a tool as torchrun does, in processes on this machine."""
    options = (*arguments, '--launcher', 'pytorch')
    return run_ranks(lambda rank: _become(tool, options), count)
