"""Save and end a run on a signal, such as those of Slurm before it kills a job."""

import atexit
import multiprocessing
import signal
import threading
from collections.abc import Sequence
from functools import partial
from types import FrameType

from mmdet.registry import HOOKS
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from axialvs.engine.agreement import Agreement
from axialvs.engine.checkpointing import ends_accumulation, save_now
from axialvs.engine.hooks.worker_watchdog_hook import call_in_workers, loaders_of_training

_EXIT_BASE = 128  # a shell's exit status of what a signal ended is this and its number


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Save a checkpoint at the end of the iteration in which a signal arrives, and exit.

    The signal handler only records the signal, so it cannot interrupt a save. All processes of a
    distributed run stop at the same iteration, even if only one of them is signaled. Dataloader
    workers, which are also signaled by Slurm, ignore it. A single process also stops during
    validation; distributed runs finish the validation first. The exit status is 128 plus the signal
    number.

    Args:
        signals: names; Slurm sends SIGTERM at the time limit, or earlier that of `--signal`.
    """

    priority = 'LOWEST'  # after the checkpoint hook, which may have saved just before

    def __init__(self, signals: Sequence[str] = ('SIGTERM', 'SIGUSR1')) -> None:
        self.signals = [signal.Signals[name] for name in signals if hasattr(signal, name)]
        self._received = 0
        self._outer: dict[int, object] = {}
        self._agreement = Agreement()

    def before_run(self, runner: Runner) -> None:
        """Connect the processes."""
        self._agreement.start()

    def before_train(self, runner: Runner) -> None:
        """Install the signal handlers."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python only allows signal handlers in the main thread
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
        """Stop between optimizer steps, as accumulated gradients are in no checkpoint."""
        if not ends_accumulation(runner):
            return
        number = self._agreement.maximum(self._received)  # of any process, 0 for none
        if number:
            self._stop(runner, number, runner.iter + 1)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Stop in a validation; the resumed run repeats it."""
        if self._received and get_world_size() == 1:
            self._stop(runner, self._received, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Restore the signal handlers."""
        for number, handler in self._outer.items():
            signal.signal(number, handler or signal.SIG_DFL)
        self._outer = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number

    def _stop(self, runner: Runner, number: int, done: int) -> None:
        save_now(runner, done)
        name = signal.Signals(number).name
        runner.logger.warning(
            f'{name}: stopped after {done} iterations; the same command with --resume '
            'continues from the last checkpoint'
        )
        runner.call_hook('after_run')  # closes the logs
        self.after_train(runner)
        raise SystemExit(_EXIT_BASE + number)


def _kill_workers() -> None:
    """Kill remaining dataloader workers at exit, because they ignore Python's SIGTERM."""
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler takes a death for a fault
    for worker in workers:
        worker.kill()


def _ignore_once(signals: Sequence[int]) -> None:
    """Ignore each signal once: torch also ends a stuck worker by SIGTERM, at the end."""

    def ignore(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in signals:
        signal.signal(number, ignore)
