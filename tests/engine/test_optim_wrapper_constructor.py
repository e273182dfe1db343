"""How parameter-wise rules combine, and the schedule of the release's Video-kMaX."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.optim import LinearLR, PolyLR, build_optim_wrapper
from torch import nn

import axialvs.engine  # noqa: F401 - registers the constructor
from axialvs.utils.errors import AxialVSError

FIXTURE = Path(__file__).parents[1] / 'data' / 'parity' / 'kmax_optimizer.json'


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


def test_the_longest_key_decides_on_norms():
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
def test_unknown_rules_are_refused(paramwise):
    with pytest.raises(AxialVSError, match=r'dwconv_decay_mult|lr_multi'):
        build(tiny_model(), **paramwise)


def test_schedule_of_the_release_after_its_warm_up():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedulers = [
        LinearLR(optimizer, start_factor=0.001, begin=0, end=750, by_epoch=False),
        PolyLR(optimizer, power=0.9, begin=0, end=15001, by_epoch=False),
    ]
    optimizer.step()
    rates = []
    for _ in range(15000):
        rates.append(optimizer.param_groups[0]['lr'])
        for scheduler in schedulers:
            scheduler.step()
    for iteration, factor in json.loads(FIXTURE.read_text())['schedule']['15000/750'].items():
        # During the warm-up both factors apply; the release jumps down after it instead.
        tolerance = 0.046 if int(iteration) < 750 else 1e-6
        assert rates[int(iteration)] == pytest.approx(factor, rel=tolerance)
