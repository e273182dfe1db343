"""Hungarian matching of queries and ground truth in full precision."""

import torch
from mmdet.models.task_modules import AssignResult, HungarianAssigner
from mmdet.registry import TASK_UTILS
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor

from axialvs.utils.errors import AxialVSError


class NonFiniteCostError(AxialVSError):
    """A matching cost is NaN or infinite."""


@TASK_UTILS.register_module()
class FullPrecisionHungarianAssigner(HungarianAssigner):
    """mmdet's assigner in float32, even under autocast; arguments as in mmdet.

    Raises:
        NonFiniteCostError: if training diverged.
    """

    match_costs: list

    def __init__(self, match_costs: list[dict]) -> None:
        super().__init__(match_costs)
        self.match_costs = [_FiniteCost(cost) for cost in self.match_costs]

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        img_meta: dict | None = None,
        **kwargs,
    ) -> AssignResult:
        """As in mmdet, on masks (Q, points) and (n, points)."""
        predictions = InstanceData(
            scores=pred_instances.scores.float(), masks=pred_instances.masks.float()
        )
        with torch.autocast(predictions.scores.device.type, enabled=False):
            return super().assign(predictions, gt_instances, img_meta, **kwargs)


class _FiniteCost:
    """A match cost that raises instead of returning NaN or infinity."""

    def __init__(self, cost) -> None:
        self.cost = cost

    def __call__(self, **inputs) -> Tensor:
        value = self.cost(**inputs)
        if torch.isfinite(value).all():
            return value
        iteration = MessageHub.get_current_instance().get_info('iter', 'unknown')
        raise NonFiniteCostError(
            f'{type(self.cost).__name__} of the matcher is not finite at iteration {iteration}: '
            'training diverged. Lower the learning rate, use bfloat16 or float32 instead of '
            'float16, or resume from an older checkpoint.'
        )
