"""A hook that has loader workers end when their training is killed."""

import multiprocessing
import os
import threading
import time

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from axialvs.engine.loader_workers import call_in_workers, loaders_of_training

_LOOKS = 1.0  # seconds between looks at the parent


@HOOKS.register_module()
class EndWorkersHook(Hook):
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
