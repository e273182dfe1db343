"""Parameter groups and schedule of the release's Video-kMaX, and how rules combine."""

import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.optim import LinearLR, PolyLR, build_optim_wrapper
from torch import nn

import axialvs.engine  # noqa: F401 - registers the constructor
from axialvs.utils.errors import AxialVSError

RELEASE = json.loads(
    (Path(__file__).parents[1] / 'data' / 'parity' / 'kmax_optimizer.json').read_text()
)
HEADS = (
    '_class_embedding_projection',
    '_mask_embedding_projection',
    '_transformer_mask_head',
    '_transformer_class_head',
    '_pixel_space_mask_batch_norm',
)
NO_DECAY = {key: dict(decay_mult=0.0) for key in ('gamma', '_rpe', '_cluster_centers')}
VIDEO = dict(temporal_layers=dict(lr_mult=2.0)) | {head: dict(lr_mult=0.1) for head in HEADS}
BACKBONE = dict(backbone=dict(lr_mult=0.1))
CUSTOM_KEYS = dict(
    near_online_r50=BACKBONE | VIDEO,
    offline_r50=VIDEO,
    near_online_convnext_l=BACKBONE | VIDEO,
    # The release's rule for norms does not know this backbone's.
    near_online_convnextv2_l=VIDEO | dict(backbone=dict(lr_mult=0.1, norm_decay_mult=1.0)),
    coco_r50=BACKBONE,
)
# Norms of the release by name: BN of ConvBN, ConvNeXt's down-samplers, projections' GroupNorm.
NORM = re.compile(
    r'norm\w*\.\w+$|_in_norms\.|put_proj\.\d\.1\.|downsample_layers\.(0\.1|[1-3]\.0)\.|_norms\.\d'
)


class Norm(nn.LayerNorm):
    """A norm layer without parameters of its own."""

    def __init__(self) -> None:
        nn.Module.__init__(self)


def model_of(names: list[str]) -> nn.Module:
    """A model that has parameters of these names."""
    root = nn.Module()
    for name in names:
        *path, last = name.split('.')
        module = root
        for depth, child in enumerate(path):
            if not hasattr(module, child):
                is_norm = depth == len(path) - 1 and NORM.search(name)
                module.add_module(child, Norm() if is_norm else nn.Module())
            module = getattr(module, child)
        module.register_parameter(last, nn.Parameter(torch.zeros(1)))
    return root


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


@pytest.mark.parametrize('name', RELEASE['groups'])
def test_groups_of_the_release(name):
    groups = RELEASE['groups'][name]
    model = model_of([parameter for members in groups.values() for parameter in members])
    optimizer = build(
        model,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys=CUSTOM_KEYS[name] | NO_DECAY,
    )
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {
        f'lr x{group["lr"]:g}, weight decay {group["weight_decay"]:g}': {
            names[parameter] for parameter in group['params']
        }
        for group in optimizer.param_groups
    }
    assert found == {title: set(members) for title, members in groups.items()}


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
    for iteration, factor in RELEASE['schedule']['15000/750'].items():
        # During the warm-up both factors apply; the release jumps down after it instead.
        tolerance = 0.046 if int(iteration) < 750 else 1e-6
        assert rates[int(iteration)] == pytest.approx(factor, rel=tolerance)
