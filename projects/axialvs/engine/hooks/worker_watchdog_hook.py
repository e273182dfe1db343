"""Stop loader workers when the process that started them dies."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

_PR_SET_PDEATHSIG = 1


def loaders_of_training(runner: Runner) -> list[DataLoader]:
    """Return the loaders of training and, if there is one, of its validation."""
    return [loop.dataloader for loop in (runner.train_loop, runner.val_loop) if loop]


def call_in_workers(loader: DataLoader, function: Callable[[], None]) -> None:
    """Call a function in each worker that starts from now on, before its `worker_init_fn`."""
    loader.worker_init_fn = partial(_start_worker, function=function, inner=loader.worker_init_fn)


def _start_worker(
    worker: int, function: Callable[[], None], inner: Callable[[int], None] | None
) -> None:
    function()
    if inner is not None:
        inner(worker)


@HOOKS.register_module()
class WorkerWatchdogHook(Hook):
    """Let the kernel kill dataloader workers when their parent process dies (Linux).

    Otherwise, two or more workers hold each other's pipes open and wait forever.
    """

    def before_train(self, runner: Runner) -> None:
        """Set up the workers of training and validation before they start."""
        for loader in loaders_of_training(runner):
            call_in_workers(loader, _die_with_parent)

    def before_test(self, runner: Runner) -> None:
        """Set up the workers of a test."""
        call_in_workers(runner.test_loop.dataloader, _die_with_parent)


def _die_with_parent() -> None:
    if sys.platform != 'linux':
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != multiprocessing.parent_process().pid:  # the parent has died already
        os._exit(1)
