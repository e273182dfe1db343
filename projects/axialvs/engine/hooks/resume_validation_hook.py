"""Run the validation that an interrupted run missed."""

from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from axialvs.utils.files import write_atomically

# Holds the iteration that was validated last, in the working directory.
LAST_VALIDATION = 'last_validation'


@HOOKS.register_module()
class ResumeValidationHook(Hook):
    """Validate before a resumed run continues, if the validation at its checkpoint is missing.

    Checkpoints are saved before validation. Without this hook, a run killed in between would miss
    these scores, and `save_best` possibly the best weights.
    """

    priority = 'LOWEST'  # after the checkpoint hook, which saves the best weights

    def before_train(self, runner: Runner) -> None:
        """Validate if due; only for loops that count iterations."""
        if not runner._resume or not self._is_due(runner):
            return
        is_done = [self._is_done(runner)]  # machines may not share the folder
        broadcast_object_list(is_done)
        if is_done[0]:
            return
        runner.logger.info(f'Validation at {runner.iter} iterations was interrupted: repeating it')
        runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Record the iteration; validations outside of a run have none."""
        if is_main_process() and runner.iter:
            write_atomically(Path(runner.work_dir) / LAST_VALIDATION, str(runner.iter).encode())

    @staticmethod
    def _is_due(runner: Runner) -> bool:
        loop, done = runner.train_loop, runner.iter
        if runner.val_loop is None or not done or not isinstance(loop, IterBasedTrainLoop):
            return False
        loop._decide_current_val_interval()
        is_last = done == runner.max_iters
        return done >= loop.val_begin and (done % loop.val_interval == 0 or is_last)

    @staticmethod
    def _is_done(runner: Runner) -> bool:
        path = Path(runner.work_dir) / LAST_VALIDATION
        return path.is_file() and path.read_text().strip() == str(runner.iter)
