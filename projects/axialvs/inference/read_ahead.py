"""Run an iterator in a background thread."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

import torch

T = TypeVar('T')

# Interval in seconds at which a waiting thread checks whether the consumer has stopped.
_PATIENCE = 0.1


class _Failure:
    """An error to raise in the consumer's thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def read_ahead(items: Iterator[T], depth: int = 1) -> Generator[T, None, None]:
    """Yield items in order while a thread computes the next ones.

    An error of the source is raised after all previous items. Closing or deleting the generator
    stops the thread before its next item and closes the source.

    Args:
        items: the source; a generator is closed at the end.
        depth: maximum number of finished items; one more is in progress.
    """
    waiting: queue.Queue = queue.Queue(depth)
    unwanted = threading.Event()

    def hand_over(item: object) -> bool:
        while not unwanted.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=_PATIENCE)
                return True
        return False

    def read() -> None:
        # OpenMP settings are per thread: oneDNN kernels in a new thread use all cores until torch's
        # number of threads is queried there.
        torch.get_num_threads()
        last: object = _END
        try:
            for item in items:
                if not hand_over(item):
                    break
        except BaseException as error:  # raised by the consumer
            last = _Failure(error)
        finally:
            if hasattr(items, 'close'):
                items.close()
            hand_over(last)

    thread = threading.Thread(target=read, name='read-ahead', daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        unwanted.set()
        if thread is not threading.current_thread():  # may run in the thread during collection
            thread.join()
