"""Log the mean losses of all processes of a distributed run."""

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class ReduceLossHook(Hook):
    """Average the logged losses over all processes, in one all-reduce.

    In mmengine, the first process writes the log and only logs its own losses.
    """

    priority = 'HIGHEST'  # before mmengine's RuntimeInfoHook, which takes them for the log

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | list | None = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Average the outputs of the training step."""
        if not outputs or get_world_size() == 1:
            return
        values = torch.stack([value.detach().float() for value in outputs.values()])
        all_reduce(values, 'mean')
        outputs.update(zip(outputs, values, strict=True))
