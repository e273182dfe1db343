"""Temporal layers: comparison with equations as plain loops, gradients, and invariances."""

import math

import pytest
import torch

from axialvs.functional.trajectory_attention import TrajectorySpec, trajectory_attention_eager
from axialvs.layers.temporal.axial_trajectory import AxialTrajectoryLayer
from axialvs.layers.temporal.encoder import TemporalEncoder, build_temporal_encoder
from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.registry import TEMPORAL_LAYERS
from axialvs.utils.errors import AxialVSError

CHANNELS, HEADS = 16, 2
TYPES = ('AxialTrajectory', 'Trajectory', 'JointSpaceTime', 'DividedSpaceTime', 'WindowSpaceTime')


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randomized(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def build(type: str, **layer) -> torch.nn.Module:
    if type == 'WindowSpaceTime':
        layer.setdefault('window_size', 2)
    encoder = TemporalEncoder(CHANNELS, type, num_heads=HEADS, feedforward_channels=32, **layer)
    return randomized(encoder).double()


def clip(batch=2, frames=3, height=3, width=5):
    return torch.randn(batch, frames, height, width, CHANNELS, dtype=torch.float64)


def attention_by_loops(attention, features, position, attends):
    """Compute self-attention token by token; `attends(a, b)` compares (t, y, x) positions."""
    batch, frames, height, width, _ = features.shape
    places = [(t, y, x) for t in range(frames) for y in range(height) for x in range(width)]
    size = CHANNELS // HEADS
    out = torch.empty_like(features)
    for b in range(batch):
        query, key = (
            {a: layer((features + position)[(b, *a)]) for a in places}
            for layer in (attention.q, attention.k)
        )
        value = {a: attention.v(features[(b, *a)]) for a in places}
        for a in places:
            others = [other for other in places if attends(a, other)]
            heads = []
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                scores = [float(query[a][part] @ key[o][part]) / math.sqrt(size) for o in others]
                exponentials = [math.exp(score - max(scores)) for score in scores]
                heads.append(
                    sum(e * value[o][part] for e, o in zip(exponentials, others, strict=True))
                    / sum(exponentials)
                )
            out[(b, *a)] = attention.proj(torch.cat(heads))
    return out


@torch.no_grad()
@pytest.mark.parametrize('type', ['JointSpaceTime', 'DividedSpaceTime', 'WindowSpaceTime'])
def test_space_time_attention_matches_the_equation(type):
    """Windows of 2x2 cells on maps of 3x5: those at the borders are partly padding."""
    layer = build(type).layers[0]
    features, position = clip(batch=1, frames=2), clip(batch=1, frames=2)
    steps = {
        'JointSpaceTime': [('attn', lambda a, b: True)],
        'DividedSpaceTime': [
            ('time_attn', lambda a, b: a[1:] == b[1:]),
            ('space_attn', lambda a, b: a[0] == b[0]),
        ],
        'WindowSpaceTime': [('attn', lambda a, b: all(a[i] // 2 == b[i] // 2 for i in (1, 2)))],
    }[type]
    expected = features
    for name, attends in steps:
        attention = getattr(layer, name)
        expected = expected + attention_by_loops(attention, expected, position, attends)
    torch.testing.assert_close(layer.attend(features, position), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_trajectory_layer_attends_to_whole_frames():
    """`tests/functional` compares the eager attention with loops."""
    layer = build('Trajectory').layers[0]
    features, position = clip(), clip(batch=1)
    attention = layer.trajectory_attn
    value = features.flatten(1, 3)
    query_key = (features + position).flatten(1, 3)
    out, *_ = trajectory_attention_eager(
        attention.q(query_key),
        attention.k(query_key),
        attention.v(value),
        attention.projections,
        TrajectorySpec(3, HEADS, (CHANNELS // HEADS) ** -0.5),
    )
    expected = features + attention.proj(out).view_as(features)
    torch.testing.assert_close(layer.attend(features, position), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('type', TYPES)
def test_gradcheck(type):
    layer = build(type)
    features = clip(batch=1, frames=2, height=3, width=2).requires_grad_()
    position = clip(batch=1, frames=2, height=3, width=2).requires_grad_()
    assert torch.autograd.gradcheck(layer, (features, position), fast_mode=True)


@pytest.mark.parametrize('type', TYPES)
def test_all_parameters_get_gradients(type):
    layer = build(type)
    layer(clip(), clip(batch=1)).square().sum().backward()
    assert all(x.grad is not None for x in layer.parameters())


@pytest.mark.parametrize('frames', [1, 2, 4])
@pytest.mark.parametrize('type', TYPES)
def test_clips_of_a_batch_are_independent(type, frames):
    layer = build(type)
    features, position = clip(frames=frames), clip(batch=1, frames=frames)
    together = layer(features, position)
    assert together.shape == features.shape
    for alone, of_batch in zip(features, together, strict=True):
        torch.testing.assert_close(layer(alone[None], position)[0], of_batch)


@pytest.mark.parametrize('type', TYPES)
def test_equivariant_to_the_order_of_frames(type):
    layer, order = build(type), [2, 0, 1]
    features, position = clip(), clip(batch=1)
    reordered = layer(features[:, order], position[:, order])
    torch.testing.assert_close(reordered, layer(features, position)[:, order])


@pytest.mark.parametrize('num_layers', [1, 2, 4])
def test_encoder_applies_its_layers_in_order(num_layers):
    encoder = build('AxialTrajectory', num_layers=num_layers)
    features, position = clip(), clip(batch=1)
    expected = features
    assert len(encoder.layers) == num_layers
    for layer in encoder.layers:
        expected = layer(expected, position)
    assert torch.equal(encoder(features, position), expected)


def test_type_none_builds_no_layer():
    assert build_temporal_encoder(CHANNELS, None) is None
    assert build_temporal_encoder(CHANNELS, dict(type='none')) is None


def test_unknown_type_raises():
    with pytest.raises(AxialVSError, match=r"'Axial'.*AxialTrajectory"):
        TemporalEncoder(CHANNELS, 'Axial')


def test_custom_registered_layer():
    @TEMPORAL_LAYERS.register_module()
    class Shift(torch.nn.Module):
        def __init__(self, channels, offset):
            super().__init__()
            self.offset = offset

        def forward(self, features, position):
            return features + self.offset

    try:
        encoder = build_temporal_encoder(CHANNELS, dict(type='Shift', num_layers=2, offset=3))
    finally:
        TEMPORAL_LAYERS.module_dict.pop('Shift')
    features = clip()
    torch.testing.assert_close(encoder(features, clip(batch=1)), features + 6)


@pytest.mark.parametrize('type', TYPES)
def test_heads_must_divide_the_channels(type):
    with pytest.raises(ValueError, match=r'16.*3'):
        TemporalEncoder(CHANNELS, type, num_heads=3)


def test_paper_settings_have_neither_biases_nor_a_scale():
    attention = TrajectoryAttention(CHANNELS, num_heads=1, scale=1.0, bias=False)
    assert not [name for name, _ in attention.named_parameters() if name.endswith('bias')]
    assert attention.scale == 1
    assert TrajectoryAttention(64, num_heads=4).scale == 0.25


@pytest.mark.parametrize('type', TYPES)
def test_attention_dropout_is_active_in_training_only(type):
    layer = build(type, dropout=0.0, ffn_dropout=0.5)
    features, position = clip(), clip()
    layer.train()
    attend = layer.layers[0].attend
    assert not torch.equal(attend(features, position), attend(features, position))
    layer.eval()
    assert torch.equal(attend(features, position), attend(features, position))


@pytest.fixture
def layer():
    return randomized(AxialTrajectoryLayer(CHANNELS, HEADS, feedforward_channels=32)).double()


@pytest.mark.parametrize(
    ('silent', 'axis'), [('width_attn', 3), ('height_attn', 2)], ids=['columns', 'rows']
)
def test_each_attention_is_restricted_to_its_axis(layer, silent, axis):
    """Without the other attention, a changed column (row) affects only itself, in all frames."""
    torch.nn.init.zeros_(getattr(layer, silent).proj.weight)
    torch.nn.init.zeros_(getattr(layer, silent).proj.bias)
    features, position = clip(), clip(batch=1)
    changed = features.clone()
    changed[:, 1].select(axis - 1, 2).normal_()
    difference = (layer(changed, position) - layer(features, position)).abs().amax((0, 4))
    touched = difference > 1e-6  # T, H, W
    expected = torch.zeros_like(touched)
    expected.select(axis - 1, 2).fill_(True)
    assert torch.equal(touched, expected)


def test_both_axes_together_reach_every_pixel(layer):
    features, position = clip(batch=1), clip(batch=1)
    changed = features.clone()
    changed[0, 1, 2, 3].normal_()
    difference = (layer(changed, position) - layer(features, position)).abs().amax(-1)
    assert (difference > 0).all()


def test_dropout_applies_to_the_attention_outputs(layer):
    """With p = 1, neither attention contributes."""
    features, position = clip(), clip(batch=1)
    layer.dropout.p = 1.0
    layer.train()
    normed = layer.norm1(features)
    expected = layer.norm2(normed + layer.linear2(layer.linear1(normed).relu()))
    torch.testing.assert_close(layer(features, position), expected, rtol=0, atol=1e-5)
