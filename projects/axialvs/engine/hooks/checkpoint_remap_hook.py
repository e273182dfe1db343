"""Adapt a loaded checkpoint to the model and log what was used."""

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from axialvs.checkpoints.key_mapping import adapt_state_dict, keep_first_queries
from axialvs.checkpoints.loading import CheckpointError, class_names_of, state_dict_of
from axialvs.engine.checkpointing import training_loop
from axialvs.engine.resuming import check_resumed_state, describe_run


@HOOKS.register_module()
class CheckpointRemapHook(Hook):
    """Lets training start from mmdet's Mask2Former and Mask2Former-VIS checkpoints.

    Names are mapped, rows of the class layer are selected by class name, and missing, unexpected
    and mismatched tensors are logged. Resuming needs a checkpoint that fits exactly.

    Args:
        leave_out: patterns of names that training does not start from; ignored when resuming.
    """

    priority = 'HIGH'  # before hooks that read the weights, such as mmengine's EMAHook

    def __init__(self, leave_out: Sequence[str] = ()) -> None:
        self.leave_out = tuple(leave_out)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record what resuming compares with the config."""
        checkpoint['meta'].update(describe_run(runner))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace the weights in the checkpoint by those that fit and, for the rest, the model's.

        Raises:
            CheckpointError: if it holds no weights, a pattern of `leave_out` matches none of its
                names, or a run cannot be resumed from it.
        """
        if runner._resume:
            check_resumed_state(runner, checkpoint, str(runner._load_from))
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        own = model.state_dict()
        weights = state_dict_of(checkpoint, 'to start from')
        if not runner._resume:
            for pattern in self.leave_out:
                weights = _without(weights, pattern)
            if training_loop(runner) is not None:  # a test takes a checkpoint as it is
                weights = _with_our_queries(weights, own, runner)
        fitting, report = adapt_state_dict(
            weights, own, class_names_of(checkpoint), _classes_of_run(runner)
        )
        if runner._resume and not report.is_complete:
            raise CheckpointError(f'the checkpoint to resume from does not fit: {report.summary()}')
        level = logging.INFO if report.is_complete else logging.WARNING
        runner.logger.log(level, f'Checkpoint: {report.summary()}')
        checkpoint['state_dict'] = {**own, **fitting}  # mmengine would list what is missing again


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
    """Return the class names of the training data, None without training."""
    loop = training_loop(runner)
    if loop is None:
        return None
    metainfo = getattr(loop.dataloader.dataset, 'metainfo', None) or {}
    return metainfo.get('classes')
