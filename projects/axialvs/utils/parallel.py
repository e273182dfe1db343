"""Parallel map in forked processes."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from axialvs.utils.errors import AxialVSError

Item = TypeVar('Item')
Value = TypeVar('Value')

_function: Callable[[Any], Any] | None = None  # inherited by the forked processes


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fork_map(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int
) -> Iterator[Value]:
    """Apply a function to items in forked processes, which share the parent's memory.

    The function may be any closure, but must not use threads, GPUs, torch or OpenCV. On systems
    other than Linux, where forking is not safe, it runs in the calling process.

    Args:
        function: function of one item; its errors are re-raised.
        items: the picklable items.
        workers: number of processes.

    Yields:
        The results, in the order of the items.

    Raises:
        AxialVSError: if a process died.
    """
    global _function
    workers = min(workers, len(items))
    if workers <= 1 or sys.platform != 'linux':
        yield from map(function, items)
        return
    _function = function
    # Ctrl-C is sent to all processes; only this one handles it.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    context = multiprocessing.get_context('fork')
    with ProcessPoolExecutor(workers, context, signal.signal, ignore) as pool:
        try:
            yield from pool.map(_call, items)
        except BrokenProcessPool as error:
            raise AxialVSError(
                'a worker process died, probably out of memory; use fewer --workers'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
            _function = None


def _call(item: Any) -> Any:
    return _function(item)
