"""A hook that has a distributed run log the losses of all processes, not those of the first."""

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class ReduceLossHook(Hook):
    """Replaces each loss that is logged by its mean over the processes.

    The first process writes the log, and mmengine gives it the losses of its own clips: a curve of
    one clip in eight. All processes have the same losses, in one exchange of a few numbers.
    """

    priority = 'HIGHEST'  # before mmengine's RuntimeInfoHook, which takes them for the log

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | list | None = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Averages what the training step returned."""
        if not outputs or get_world_size() == 1:
            return
        values = torch.stack([value.detach().float() for value in outputs.values()])
        all_reduce(values, 'mean')
        outputs.update(zip(outputs, values, strict=True))
