"""A hook that fits a loaded checkpoint to the model and says what was used of it."""

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from axialvs.checkpoints.key_mapping import adapt_state_dict, keep_first_queries
from axialvs.checkpoints.loading import CheckpointError, class_names_of, state_dict_of
from axialvs.engine.resuming import check_resumed_state


@HOOKS.register_module()
class CheckpointRemapHook(Hook):
    """Lets training start from mmdet's Mask2Former and Mask2Former-VIS checkpoints.

    Names are mapped, rows of the class logits are taken over by class name, and what is missing,
    left over or of another shape is written to the log. A run can be resumed only from a
    checkpoint that fits as it is.

    Args:
        leave_out: names of the checkpoint, with wildcards, that training is not to start from. A
            run that is resumed takes everything.
    """

    priority = 'HIGH'  # before hooks that read the weights, such as mmengine's EMAHook

    def __init__(self, leave_out: Sequence[str] = ()) -> None:
        self.leave_out = tuple(leave_out)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replaces the weights in the checkpoint by those that fit.

        Raises:
            CheckpointError: It holds no weights, a pattern of `leave_out` fits none of its names,
                or a run that it does not fit, or of which it has the weights only, is to be
                resumed.
        """
        if runner._resume:
            check_resumed_state(runner, checkpoint, str(runner._load_from))
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = state_dict_of(checkpoint, 'to start from')
        if not runner._resume:
            for pattern in self.leave_out:
                weights = _without(weights, pattern)
            if isinstance(runner._train_loop, BaseLoop):  # a test takes a checkpoint as it is
                weights = _with_our_queries(weights, model.state_dict(), runner)
        fitting, report = adapt_state_dict(
            weights,
            model.state_dict(),
            class_names_of(checkpoint),
            _classes_of_run(runner),
        )
        if runner._resume and not report.is_complete:
            raise CheckpointError(f'the checkpoint to resume from does not fit: {report.summary()}')
        level = logging.INFO if report.is_complete else logging.WARNING
        runner.logger.log(level, f'Checkpoint: {report.summary()}')
        checkpoint['state_dict'] = fitting


def _without(weights: dict[str, Tensor], pattern: str) -> dict[str, Tensor]:
    kept = {name: tensor for name, tensor in weights.items() if not fnmatchcase(name, pattern)}
    if len(kept) == len(weights):
        raise CheckpointError(
            f"leave_out: '{pattern}' fits no name of the checkpoint to start from; correct it in "
            "the config's CheckpointRemapHook, or take it out"
        )
    return kept


def _with_our_queries(
    weights: dict[str, Tensor], target: dict[str, Tensor], runner: Runner
) -> dict[str, Tensor]:
    weights, cut = keep_first_queries(weights, target)
    if cut:
        runner.logger.warning(
            f'Checkpoint: its first {cut[1]} of {cut[0]} queries are taken, as the model has'
        )
    return weights


def _classes_of_run(runner: Runner) -> tuple[str, ...] | None:
    """Class names of the data set that the run trains on; None when it does not train."""
    loop = runner._train_loop  # `runner.train_loop` would build it
    if not isinstance(loop, BaseLoop):
        return None
    metainfo = getattr(loop.dataloader.dataset, 'metainfo', None) or {}
    return metainfo.get('classes')
