"""A bfloat16 training step on a CPU is close to float32, with matcher and losses in float32."""

import torch
from mmdet.models.task_modules import HungarianAssigner
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from fixed_points import fixed_points
from tiny_segmenter import tiny_segmenter
from training_clips import moving_boxes


def step(kind: str) -> tuple[float, dict[str, torch.Tensor], torch.nn.Module]:
    """Run one training step and return the total loss, the gradients and the model."""
    model = tiny_segmenter().train()
    wrapper = OPTIM_WRAPPERS.build(
        dict(type=kind, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    )
    clips = torch.randn(1, 2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with fixed_points():
        with wrapper.optim_context(model):
            losses = model.loss(clips, [moving_boxes(2, 2, 64, 96)])
        assert all(loss.dtype == torch.float32 for loss in losses.values())
        wrapper.backward(sum(losses.values()))
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    wrapper.step()
    return sum(losses.values()).item(), gradients, model


def test_step_is_close_to_float32(monkeypatch):
    matched, seen = [], []
    assign = HungarianAssigner.assign

    def spying_assign(self, predictions, *args, **kwargs):
        matched.extend((predictions.scores.dtype, predictions.masks.dtype))
        return assign(self, predictions, *args, **kwargs)

    def note(module, inputs, output):
        seen.append(output.dtype)

    monkeypatch.setattr(HungarianAssigner, 'assign', spying_assign)
    expected, full, _ = step(OptimWrapper.__name__)
    with torch.nn.modules.module.register_module_forward_hook(
        lambda module, *rest: note(module, *rest) if isinstance(module, torch.nn.Linear) else None
    ):
        loss, low, model = step('Bfloat16OptimWrapper')
    assert set(seen) == {torch.bfloat16}  # autocast ran
    assert set(matched) == {torch.float32}
    assert abs(loss - expected) <= 0.03 * expected
    assert low.keys() == full.keys()
    assert all(gradient.dtype == torch.float32 for gradient in low.values())
    a, b = (torch.cat([x.flatten() for x in each.values()]) for each in (low, full))
    assert torch.cosine_similarity(a, b, dim=0) > 0.9
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())
