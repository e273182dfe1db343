"""Tests of combining parameter-wise rules."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from axialvs.utils.errors import AxialVSError


def build(model: nn.Module, **paramwise) -> torch.optim.Optimizer:
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='MultiplicativeOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            paramwise_cfg=paramwise,
        ),
    )
    return wrapper.optimizer


def settings_of(model: nn.Module, **paramwise) -> dict[str, tuple[float, float]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (group['lr'], pytest.approx(group['weight_decay']))
        for group in build(model, **paramwise).param_groups
        for parameter in group['params']
    }


def tiny_model() -> nn.Module:
    return nn.ModuleDict(
        dict(
            backbone=nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)),
            head=nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)),
        )
    )


def test_rules_multiply():
    keys = {
        'backbone': dict(lr_mult=0.5, decay_mult=0.5),
        'backbone.0': dict(lr_mult=0.5),
        'weight': dict(lr_mult=4.0),
    }
    found = settings_of(tiny_model(), norm_decay_mult=0.1, bias_decay_mult=0.0, custom_keys=keys)
    assert found == {
        'backbone.0.weight': (1.0, 0.025),
        'backbone.0.bias': (0.25, 0.0),
        'backbone.1.weight': (2.0, 0.0025),
        'backbone.1.bias': (0.5, 0.0),
        'head.0.weight': (4.0, 0.05),
        'head.0.bias': (1.0, 0.0),
        'head.1.weight': (4.0, 0.005),
        'head.1.bias': (1.0, 0.0),
    }


def test_longest_matching_key_applies_to_norms():
    keys = {'backbone': dict(norm_decay_mult=0.5), 'backbone.1': dict(norm_decay_mult=1.0)}
    found = settings_of(tiny_model(), norm_decay_mult=0.0, custom_keys=keys)
    assert found['backbone.1.weight'] == (1.0, 0.05)
    assert found['head.1.weight'] == (1.0, 0.0)


def test_frozen_and_shared_parameters():
    model = tiny_model()
    model['backbone'].requires_grad_(False)
    model['again'] = nn.Linear(2, 2)
    model['again'].weight = model['head'][0].weight
    groups = build(model, custom_keys=dict(again=dict(lr_mult=2.0))).param_groups
    assert sum(len(group['params']) for group in groups) == 5


@pytest.mark.parametrize(
    'paramwise',
    [
        dict(dwconv_decay_mult=0.0),
        dict(custom_keys=dict(backbone=dict(lr_multi=0.1))),
    ],
)
def test_unknown_rules_raise(paramwise):
    with pytest.raises(AxialVSError, match=r'dwconv_decay_mult|lr_multi'):
        build(tiny_model(), **paramwise)
