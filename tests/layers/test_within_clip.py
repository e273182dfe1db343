"""The within-clip tracking module with each temporal attention, without and with other layers."""

import pytest
import torch

from axialvs.layers.within_clip import WithinClipTracking

SMALL = dict(
    in_channels=(4, 8, 12),
    channels=16,
    num_heads=2,
    num_points=2,
    feedforward_channels=16,
    num_groups=4,
)
TEMPORAL = dict(type='DividedSpaceTime', num_heads=2, feedforward_channels=16, dropout=0.0)
TYPES = ('AxialTrajectory', 'Trajectory', 'JointSpaceTime', 'DividedSpaceTime', 'WindowSpaceTime')


def build(**options):
    torch.manual_seed(0)
    return WithinClipTracking(**{**SMALL, 'temporal_layer': TEMPORAL, **options})


def maps(num_frames=2):
    rng = torch.Generator().manual_seed(0)
    sizes = zip(SMALL['in_channels'], ((8, 12), (4, 6), (2, 3)), strict=True)
    return [torch.randn(num_frames, c, *size, generator=rng) for c, size in sizes]


@pytest.mark.parametrize('type', TYPES)
def test_training_step(type):
    module = build(temporal_layer=dict(TEMPORAL, type=type, num_layers=2))
    outputs = module(maps(), num_frames=2)
    assert [x.shape for x in outputs] == [x.shape for x in maps()]
    sum(x.square().mean() for x in outputs).backward()
    assert all(x.grad is not None for x in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize(
    'options', [dict(temporal_layer=None), dict(temporal_layer={'type': 'none'})]
)
def test_frames_are_independent_without_temporal_layers(options):
    module = build(**options)
    changed = [x.clone() for x in maps()]
    for x in changed:
        x[1].normal_()
    for a, b in zip(module(maps(), 2), module(changed, 2), strict=True):
        assert torch.equal(a[0], b[0])


def test_temporal_attention_only():
    """Without deformable layers, the levels do not interact, and all parameters are used."""
    module = build(deformable=False, num_temporal_levels=3)
    outputs = module(maps(), num_frames=2)
    sum(x.square().mean() for x in outputs).backward()
    assert all(x.grad is not None for x in module.parameters())
    changed = maps()
    changed[0].normal_()
    for a, b in zip(outputs[1:], module(changed, num_frames=2)[1:], strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_order_of_layers():
    module = build()
    calls = []
    for name, stack in (('s', module.spatial_layers), ('t', module.temporal_layers)):
        for i, layer in enumerate(stack):
            layer.register_forward_hook(lambda *_, call=f'{name}{i}': calls.append(call))
    module(maps(), 2)
    assert calls == ['s0', 't0', 't0', 's1', 't1', 't1']  # temporal layers run per level
    calls.clear()
    module.interleaved = False
    module(maps(), 2)
    assert calls == ['s0', 's1', 't0', 't0', 't1', 't1']


def test_more_temporal_levels_than_levels_raises():
    with pytest.raises(ValueError, match='num_temporal_levels is 4'):
        build(num_temporal_levels=4)
