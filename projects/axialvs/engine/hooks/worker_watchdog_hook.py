"""What hooks do in loader workers as they start."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader


def loaders_of_training(runner: Runner) -> list[DataLoader]:
    """Those of training and, if there is one, of its validation."""
    return [loop.dataloader for loop in (runner.train_loop, runner.val_loop) if loop]


def call_in_workers(loader: DataLoader, function: Callable[[], None]) -> None:
    """Has each worker that starts from now on call a function, before what the loader has it do."""
    loader.worker_init_fn = partial(_start_worker, function=function, inner=loader.worker_init_fn)


def _start_worker(
    worker: int, function: Callable[[], None], inner: Callable[[int], None] | None
) -> None:
    function()
    if inner is not None:
        inner(worker)


_LOOKS = 1.0  # seconds between looks at the parent


@HOOKS.register_module()
class WorkerWatchdogHook(Hook):
    """Has loader workers end within seconds after the process that started them is gone.

    torch's workers leave their loop then, but each waits at its end until its last samples are
    read. Workers hold one another's pipe open, so two of them or more wait without end, with
    their memory and the files they have open.
    """

    def before_train(self, runner: Runner) -> None:
        """Reaches the workers of training and validation before they start."""
        for loader in loaders_of_training(runner):
            call_in_workers(loader, _watch_parent)

    def before_test(self, runner: Runner) -> None:
        """Reaches the workers of a test."""
        call_in_workers(runner.test_loop.dataloader, _watch_parent)


def _watch_parent() -> None:
    parent = multiprocessing.parent_process().pid
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOKS)
    os._exit(1)  # an orderly exit is what waits
