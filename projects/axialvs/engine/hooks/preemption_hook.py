"""A hook that saves and ends a run when the system asks for it, as Slurm does before it kills."""

import atexit
import multiprocessing
import signal
import threading
from collections.abc import Sequence
from functools import partial
from types import FrameType

import torch
from mmdet.registry import HOOKS
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import distributed

from axialvs.engine.checkpointing import ends_accumulation, save_now
from axialvs.engine.hooks.worker_watchdog_hook import call_in_workers, loaders_of_training

_EXIT_BASE = 128  # a shell's exit status of what a signal ended is this and its number


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves a checkpoint at the end of the iteration in which a signal comes, and ends the run.

    Python's handler only notes the signal, so that it cannot break a save. All processes of a
    distributed run stop at the same iteration, whichever of them got the signal. Loader workers
    do not die of it, for Slurm signals them too. A signal during validation ends that, where the
    run has one process; more of them deal with it when the validation is through. The exit status
    is 128 and the signal's number, so nothing that waits takes the run for finished.

    Args:
        signals: Names. Slurm sends SIGTERM when the time is up, or what `--signal` names earlier.
    """

    priority = 'LOWEST'  # behind the checkpoint hook, which may just have saved

    def __init__(self, signals: Sequence[str] = ('SIGTERM', 'SIGUSR1')) -> None:
        self.signals = [signal.Signals[name] for name in signals if hasattr(signal, name)]
        self._received = 0
        self._outer: dict[int, object] = {}
        self._group = None

    def before_run(self, runner: Runner) -> None:
        """Makes the group of processes that agree; on a CPU, so that no device has to wait."""
        if get_world_size() > 1 and distributed.get_backend() != 'gloo':
            self._group = distributed.new_group(backend='gloo')

    def before_train(self, runner: Runner) -> None:
        """Listens from here on; a signal that came before has ended the process."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python lets only this one listen
        for loader in loaders_of_training(runner):
            call_in_workers(loader, partial(_ignore_once, self.signals))
        atexit.unregister(_kill_workers)
        atexit.register(_kill_workers)
        self._outer = {number: signal.signal(number, self._note) for number in self.signals}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Stops where gradients are not being accumulated: those are in no checkpoint."""
        if not ends_accumulation(runner):
            return
        number = self._agreed()
        if number:
            self._stop(runner, number, runner.iter + 1)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Stops in a training's validation; the resumed run does it again from its start."""
        if self._received and get_world_size() == 1:
            self._stop(runner, self._received, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Listens no longer."""
        for number, handler in self._outer.items():
            signal.signal(number, handler or signal.SIG_DFL)
        self._outer = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number

    def _agreed(self) -> int:
        """The signal that any of the processes got, 0 for none."""
        if get_world_size() == 1:
            return self._received
        received = torch.tensor(self._received)
        distributed.all_reduce(received, distributed.ReduceOp.MAX, group=self._group)
        return int(received)

    def _stop(self, runner: Runner, number: int, done: int) -> None:
        save_now(runner, done)
        name = signal.Signals(number).name
        runner.logger.warning(
            f'{name}: stopped after {done} iterations; the same command with --resume goes on '
            'from the last checkpoint'
        )
        runner.call_hook('after_run')  # closes the logs
        self.after_train(runner)
        raise SystemExit(_EXIT_BASE + number)


def _kill_workers() -> None:
    """Ends loader workers that are still there when the interpreter exits.

    Python then sends its daemons one SIGTERM, which these ignore, and waits for them without end.
    """
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler takes a death for a fault
    for worker in workers:
        worker.kill()


def _ignore_once(signals: Sequence[int]) -> None:
    """Once only: torch, too, ends a stuck worker by SIGTERM, but only at the end."""

    def ignore(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in signals:
        signal.signal(number, ignore)
