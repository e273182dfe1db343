"""What hooks do in loader workers as they start."""

from collections.abc import Callable
from functools import partial

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
