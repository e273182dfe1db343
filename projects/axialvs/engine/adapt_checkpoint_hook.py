"""A hook that fits a loaded checkpoint to the model and says what was used of it."""

import logging

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from axialvs.checkpoints.adapting import adapt_state_dict
from axialvs.checkpoints.loading import CheckpointError, state_dict_of
from axialvs.checkpoints.weights import class_names_of


@HOOKS.register_module()
class AdaptCheckpointHook(Hook):
    """Lets training start from mmdet's Mask2Former and Mask2Former-VIS checkpoints.

    Names are mapped, rows of the class logits are taken over by class name, and what is missing,
    left over or of another shape is written to the log. A run can be resumed only from a
    checkpoint that fits as it is.
    """

    priority = 'HIGH'  # before hooks that read the weights, such as mmengine's EMAHook

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replaces the weights in the checkpoint by those that fit.

        Raises:
            CheckpointError: It holds no weights, or a run that it does not fit is to be resumed.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        fitting, report = adapt_state_dict(
            state_dict_of(checkpoint, 'to start from'),
            model.state_dict(),
            class_names_of(checkpoint),
            _classes_of_run(runner),
        )
        if runner._resume and not report.is_complete:
            raise CheckpointError(f'the checkpoint to resume from does not fit: {report.summary()}')
        level = logging.INFO if report.is_complete else logging.WARNING
        runner.logger.log(level, f'Checkpoint: {report.summary()}')
        checkpoint['state_dict'] = fitting


def _classes_of_run(runner: Runner) -> tuple[str, ...] | None:
    """Class names of the data set that the run trains on; None when it does not train."""
    loop = runner._train_loop  # `runner.train_loop` would build it
    if not isinstance(loop, BaseLoop):
        return None
    metainfo = getattr(loop.dataloader.dataset, 'metainfo', None) or {}
    return metainfo.get('classes')
