"""Invariances of deformable attention with temporal attention inside."""

import pytest
import torch

from axialvs.layers.deformable_attention import (
    ClipDeformableAttention,
    TemporalDeformableAttention,
)

CHANNELS = 16
SHAPES = [(2, 3), (4, 6), (8, 12)]
NUM_TOKENS = sum(h * w for h, w in SHAPES)
DEFORMABLE = dict(embed_dims=CHANNELS, num_heads=2, num_levels=3, num_points=2, batch_first=True)
TEMPORAL = dict(num_levels=2, num_heads=2, feedforward_channels=32)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randomized(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def deformable_inputs(num_frames, batch=1):
    points = torch.rand(1, NUM_TOKENS, 1, 2).expand(-1, -1, 3, -1)
    return dict(
        query=torch.randn(batch * num_frames, NUM_TOKENS, CHANNELS),
        query_pos=torch.randn(1, NUM_TOKENS, CHANNELS),
        reference_points=points,
        spatial_shapes=SHAPES,
        num_frames=num_frames,
        positions_3d=[torch.randn(1, num_frames, *shape, CHANNELS) for shape in SHAPES[:2]],
    )


def paired_attentions():
    """Return attentions without and with a temporal layer that share their other weights."""
    temporal = randomized(TemporalDeformableAttention(TEMPORAL, **DEFORMABLE))
    plain = ClipDeformableAttention(**DEFORMABLE).eval()
    shared = plain.state_dict().keys()
    plain.load_state_dict({k: v for k, v in temporal.state_dict().items() if k in shared})
    return plain, temporal


@pytest.mark.parametrize('num_frames', [1, 3])
def test_zero_layer_scale_equals_deformable_attention(num_frames):
    plain, temporal = paired_attentions()
    inputs = deformable_inputs(num_frames)
    assert not torch.allclose(temporal(**inputs), plain(**inputs))
    torch.nn.init.zeros_(temporal.gamma)
    assert torch.equal(temporal(**inputs), plain(**inputs))


def test_only_the_coarsest_levels_change():
    plain, temporal = paired_attentions()
    inputs = deformable_inputs(3)
    difference = (temporal(**inputs) - plain(**inputs)).abs().amax((0, 2))
    coarse = sum(h * w for h, w in SHAPES[:2])
    assert (difference[:coarse] > 0).all()
    assert (difference[coarse:] == 0).all()


def test_initial_layer_scale():
    attention = TemporalDeformableAttention(TEMPORAL, **DEFORMABLE)
    assert torch.equal(attention.gamma, torch.full((CHANNELS,), 1e-6))
    attention = TemporalDeformableAttention(dict(TEMPORAL, layer_scale=0.1), **DEFORMABLE)
    assert torch.equal(attention.gamma, torch.full((CHANNELS,), 0.1))


def test_frames_interact_in_temporal_attention_only():
    plain, temporal = paired_attentions()
    inputs = deformable_inputs(3)
    changed = dict(inputs, query=inputs['query'].clone())
    changed['query'][2].normal_()
    assert torch.equal(plain(**changed)[:2], plain(**inputs)[:2])
    assert not torch.allclose(temporal(**changed)[:2], temporal(**inputs)[:2])


def test_clips_are_independent():
    _, temporal = paired_attentions()
    inputs = deformable_inputs(2, batch=3)
    of_batch = temporal(**inputs)
    for i in range(3):
        alone = temporal(**dict(inputs, query=inputs['query'][2 * i : 2 * i + 2]))
        torch.testing.assert_close(alone, of_batch[2 * i : 2 * i + 2], rtol=0, atol=1e-5)


def test_identity_replaces_the_query_in_the_sum():
    plain, _ = paired_attentions()
    inputs = deformable_inputs(1)
    zero = torch.zeros_like(inputs['query'])
    torch.testing.assert_close(plain(**inputs, identity=zero) + inputs['query'], plain(**inputs))


def test_initialized_as_mmcv_does():
    """mmdet re-initializes mmcv attentions: samples in a ring, independent of the input."""
    attention = TemporalDeformableAttention(TEMPORAL, **DEFORMABLE)
    attention.init_weights()
    assert not attention.sampling_offsets.weight.any()
    assert not attention.attention_weights.weight.any()
    ring = attention.sampling_offsets.bias.view(2, 3, 2, 2)  # heads, levels, points, (x, y)
    assert torch.equal(ring.abs().amax(-1), torch.tensor([1.0, 2.0]).expand(2, 3, 2))


def test_more_temporal_levels_than_levels_raises():
    with pytest.raises(ValueError, match=r'4.* 3 levels'):
        TemporalDeformableAttention(dict(TEMPORAL, num_levels=4), **DEFORMABLE)
