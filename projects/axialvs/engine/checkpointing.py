"""Write checkpoints atomically."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import get_world_size, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner

from axialvs.utils.files import PARTIAL_SUFFIX, write_atomically

ATOMIC_BACKEND = 'atomic'


class AtomicLocalBackend(LocalBackend):
    """mmengine's local backend with atomic writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a temporary file and rename it."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to a temporary file and rename it."""
        write_atomically(filepath, obj.encode(encoding))


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)


# Names the checkpoint to resume from, in the working directory; mmengine's file.
LAST_CHECKPOINT = 'last_checkpoint'


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Write checkpoints atomically, and delete older ones only after a successful save.

    mmengine's hook deletes the oldest first and writes in place, so a process killed during a save
    can lose all checkpoints. The arguments are mmengine's; files are written to a local folder.
    Saves are deferred to the end of a gradient-accumulation window.
    """

    # Scores to maximize, so that `save_best='auto'` needs no `rule`.
    _default_greater_keys = (*CheckpointHook._default_greater_keys, 'AP', 'AR', 'VPQ', 'STQ')

    def __init__(self, *args, backend_args: dict | None = None, **kwargs) -> None:
        super().__init__(*args, backend_args=backend_args or dict(backend=ATOMIC_BACKEND), **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Remove half-written files of a killed process and restore the last checkpoint's name.

        A repeated validation saves that checkpoint again with its best score.
        """
        super().before_train(runner)
        if runner.iter and not self.by_epoch:
            name = self.filename_tmpl.format(runner.iter)
            self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        if is_main_process():
            for partial in Path(self.out_dir).glob(f'*.pth.*{PARTIAL_SUFFIX}'):
                partial.unlink()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Drop functions from the states of schedules, as files hold only plain values.

        mmengine's OneCycleLR has one, which a resumed schedule defines itself.
        """
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = _without_functions(checkpoint['param_schedulers'])

    def every_n_train_iters(self, runner: Runner, n: int, start: int = 0) -> bool:
        """Return whether a save was due since the last optimizer step."""
        if not ends_accumulation(runner):
            return False
        done = runner.iter + 1
        counts = accumulation_counts(runner)
        changed_last = (done - 1) // counts * counts
        return n > 0 and any(
            step >= start and (step - start) % n == 0 for step in range(changed_last + 1, done + 1)
        )

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self._deletions_last():
            self._forget_oldest(runner, step)
            name = self.filename_tmpl.format(step)
            self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
            runner.message_hub.update_info('last_ckpt', self.last_ckpt)
            runner.save_checkpoint(
                self.out_dir,
                name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                pointer = Path(runner.work_dir) / LAST_CHECKPOINT
                write_atomically(pointer, str(self.last_ckpt).encode())

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._deletions_last():
            super()._save_best_checkpoint(runner, metrics)

    def _forget_oldest(self, runner: Runner, step: int) -> None:
        """Track the steps whose files are kept, and delete the oldest if there are too many.

        The new checkpoint still lists it, so if the run is killed before, it is deleted on resume.
        """
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return
        runner.message_hub.update_info('keep_ckpt_ids', [*self.keep_ckpt_ids, step])
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            oldest = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            path = self.file_backend.join_path(self.out_dir, oldest)
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
        self.keep_ckpt_ids.append(step)

    @contextlib.contextmanager
    def _deletions_last(self) -> Iterator[None]:
        """Defer deletions to the end of the block; none if the block fails."""
        backend = self.file_backend
        postponed = _PostponedRemovals(backend)
        self.file_backend = postponed
        try:
            yield
        finally:
            self.file_backend = backend
        for path in postponed.paths:
            if path not in self._paths_in_use():
                backend.remove(path)

    def _paths_in_use(self) -> set:
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        return {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}


def _without_functions(state: Any) -> Any:
    if isinstance(state, dict):
        return {k: _without_functions(value) for k, value in state.items() if not callable(value)}
    return [_without_functions(value) for value in state] if isinstance(state, list) else state


class _PostponedRemovals:
    """File backend that records removals instead of executing them."""

    def __init__(self, backend) -> None:
        self._backend = backend
        self.paths: list[str] = []

    def __getattr__(self, name: str):
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Record a file."""
        self.paths.append(path)


def training_loop(runner: Runner) -> BaseLoop | None:
    """Return the loop of a training, None in a test: `runner.train_loop` would build it there."""
    loop = runner._train_loop
    return loop if isinstance(loop, BaseLoop) else None


def accumulation_counts(runner: Runner) -> int:
    """Return the iterations per optimizer step."""
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def ends_accumulation(runner: Runner) -> bool:
    """Return whether the current iteration ends with an optimizer step."""
    done = runner.iter + 1
    return done % accumulation_counts(runner) == 0 or done == runner.max_iters


def save_now(runner: Runner, done: int) -> None:
    """Save a checkpoint with every checkpoint hook that has not just saved one.

    Must be called by all processes of a run.

    Args:
        runner: the training runner.
        done: number of finished iterations.
    """
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or hook.by_epoch:
            continue
        path = Path(str(hook.out_dir)) / hook.filename_tmpl.format(done)
        if hook.last_ckpt != str(path) or not (path.exists() or get_world_size() > 1):
            hook._save_checkpoint_with_step(runner, done, dict(epoch=runner.epoch, iter=done))
