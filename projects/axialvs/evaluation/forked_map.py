"""A map over videos in forked processes, which see the parent's memory without a copy of it."""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from axialvs.utils.errors import AxialVSError

Item = TypeVar('Item')
Value = TypeVar('Value')


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def forked_map(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int
) -> Iterator[Value]:
    """Applies a function to all videos in forked processes; gives the values in their order.

    Only values are sent between processes, so that the function may be any closure. A fork has one
    thread: the function has to leave alone what needs others, as GPUs, torch and OpenCV. Each
    process takes one of every `workers` videos, and waits while what it has not yet handed over
    fills a pipe. The processes end with the iterator. Where there is nothing to gain from processes
    or they cannot be forked safely (anywhere but on Linux, and in a data loader's workers), the
    calling process does it all.

    Args:
        function: What to do with a video. An error of it is raised here, as if it had run here.
        items: The videos.
        workers: Number of processes.

    Raises:
        RuntimeError: A process died.
    """
    workers = min(workers, len(items))
    # A daemonic process may have no children. On macOS system libraries do not survive a fork.
    if workers <= 1 or sys.platform != 'linux' or multiprocessing.current_process().daemon:
        yield from map(function, items)
        return
    children: list[tuple[BaseProcess, Connection]] = []
    try:
        for first in range(workers):
            children.append(_start(function, items[first::workers]))
        for index, item in enumerate(items):
            done, value = _receive(children[index % workers][1], index, len(items))
            # Done again here, an error has its own traceback and needs not be sent.
            yield value if done else function(item)
    finally:
        for process, receiver in children:
            process.kill()  # it has ended, or what it does is not wanted any more
            process.join()
            receiver.close()


def _start(
    function: Callable[[Item], Value], share: Sequence[Item]
) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, share, sender), daemon=True)
    process.start()
    sender.close()  # only the child's end is left: its death ends the pipe
    return process, receiver


def _work(function: Callable[[Item], Value], share: Sequence[Item], sender: Connection) -> None:
    """Sends for each video whether it succeeded, and the value."""
    gc.freeze()  # a collection would touch, and so copy, all that the parent holds
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which sees to it
    try:
        for item in share:
            try:
                answer: tuple[bool, Any] = True, function(item)
            except Exception:
                answer = False, None
            sender.send(answer)
    except BrokenPipeError:
        pass  # the parent was killed


def _receive(receiver: Connection, index: int, total: int) -> tuple[bool, Any]:
    try:
        return receiver.recv()
    except EOFError as error:
        raise AxialVSError(
            f'the process at work on video {index + 1} of {total} died; was the memory used up? '
            'Fewer workers need less.'
        ) from error
