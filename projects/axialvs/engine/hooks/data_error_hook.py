"""Save a checkpoint before a data error ends a run."""

from collections.abc import Iterator

from mmdet.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from axialvs.engine.agreement import Agreement
from axialvs.engine.checkpointing import accumulation_counts, save_now
from axialvs.utils.errors import AxialVSError


@HOOKS.register_module()
class DataErrorHook(Hook):
    """Save a checkpoint before an error in a dataset or a dataloader worker ends training.

    A missing frame in the middle of a run then loses no iteration: after it is fixed, the resumed
    run continues with the clips that could not be loaded. All processes of a distributed run save
    and exit together. Epoch-based loops fail as in mmengine.
    """

    def __init__(self) -> None:
        self._agreement = Agreement()
        self._start = 0

    def before_run(self, runner: Runner) -> None:
        """Connect the processes."""
        self._agreement.start()

    def before_train(self, runner: Runner) -> None:
        """Wrap the iterator of the loop's batches."""
        self._start = runner.iter
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = _Watched(loop.dataloader_iterator, runner, self)

    def end(self, runner: Runner, error: Exception | None) -> None:
        """Save, then raise the error, or one about another process if this one has none."""
        done = runner.iter
        waiting = done % accumulation_counts(runner)  # gradients that are in no checkpoint
        if done > self._start and not waiting:
            save_now(runner, done)
            runner.logger.error(
                f'clips of iteration {done + 1} could not be loaded: saved after {done} '
                'iterations; fix the cause and use the same command with --resume'
            )
        if error is None:
            raise AxialVSError(
                f'process {get_rank()} ends because a different process could not load its clips; '
                "the error is in that one's log"
            )
        raise error

    def any_failed(self, error: Exception | None) -> bool:
        """Return whether any process has an error."""
        return bool(self._agreement.maximum(int(error is not None)))


class _Watched:
    """Iterator over batches that passes errors to the hook."""

    def __init__(self, batches: Iterator, runner: Runner, hook: DataErrorHook) -> None:
        self._batches, self._runner, self._hook = batches, runner, hook

    def __getattr__(self, name: str):
        return getattr(self._batches, name)

    def __iter__(self) -> '_Watched':
        return self

    def __next__(self):
        batch = error = None
        try:
            batch = next(self._batches)
        except Exception as raised:
            error = raised
        if self._hook.any_failed(error):
            self._hook.end(self._runner, error)
        return batch
