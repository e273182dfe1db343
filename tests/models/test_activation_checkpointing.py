"""Swin recomputes its blocks' activations in backward with the same gradients, also in clips."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config
from torch import nn
from torch.utils.checkpoint import checkpoint

from tiny_segmenter import CONFIGS

SWIN_L = CONFIGS / '_base_' / 'models' / 'tube-link_swin-l.py'


@pytest.fixture(scope='module')
def backbone() -> nn.Module:
    """Return a small Swin with stochastic depth, as in the configs."""
    torch.manual_seed(0)
    config = Config.fromfile(SWIN_L).model.backbone
    assert config.with_cp
    config.update(embed_dims=8, depths=(1, 2, 1, 1), num_heads=(1, 1, 2, 2), window_size=4)
    backbone = MODELS.build(config)
    backbone.train()
    assert any(getattr(module, 'drop_prob', 0) for module in backbone.modules())
    return backbone


def gradients(backbone: nn.Module, around: bool = False) -> tuple[dict, int]:
    """Return gradients of a sum over all maps of two frames, and the blocks run per pass."""
    runs = []
    blocks = [block for stage in backbone.stages for block in stage.blocks]
    handles = [block.attn.register_forward_hook(lambda *_: runs.append(1)) for block in blocks]
    backbone.zero_grad()
    torch.manual_seed(1)
    frames = torch.randn(2, 3, 64, 64, requires_grad=True)
    maps = checkpoint(backbone, frames, use_reentrant=False) if around else backbone(frames)
    sum((x * torch.linspace(-1, 1, x.numel()).view_as(x)).sum() for x in maps).backward()
    for handle in handles:
        handle.remove()
    return {name: p.grad.clone() for name, p in backbone.named_parameters()}, len(runs)


def without_recomputation(backbone: nn.Module) -> nn.Module:
    plain = copy.deepcopy(backbone)
    for module in plain.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp = False
    return plain


@pytest.mark.parametrize('around', [False, True], ids=['blocks', 'clips of blocks'])
def test_gradients_match_stored_activations(backbone, around):
    """Test Swin itself, and nested in the recomputation of clips of end-to-end training."""
    expected, num_blocks = gradients(without_recomputation(backbone))
    assert num_blocks == 5
    ours, num_runs = gradients(backbone, around)
    assert num_runs >= 2 * num_blocks
    assert ours.keys() == expected.keys()
    scale = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert (ours[name] - gradient).abs().max() <= 1e-6 * scale, name
