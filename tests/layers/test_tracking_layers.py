"""What holds for the tracking layers whatever their weights: who sees whom, what does nothing."""

import pytest
import torch

from axialvs.layers.axial_trajectory import AxialTrajectoryEncoder, AxialTrajectoryLayer
from axialvs.layers.deformable_attention import (
    ClipDeformableAttention,
    DeformableAxialTrajectoryAttention,
)
from axialvs.layers.trajectory_attention import TrajectoryAttention

CHANNELS = 16
SHAPES = [(2, 3), (4, 6), (8, 12)]
NUM_TOKENS = sum(h * w for h, w in SHAPES)
DEFORMABLE = dict(embed_dims=CHANNELS, num_heads=2, num_levels=3, num_points=2, batch_first=True)
TRAJECTORY = dict(num_levels=2, num_heads=2, feedforward_channels=32)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


@pytest.fixture
def layer():
    return randomised(AxialTrajectoryLayer(CHANNELS, num_heads=2, feedforward_channels=32))


def clip(batch=2, frames=3, height=4, width=5):
    return torch.randn(batch, frames, height, width, CHANNELS)


def test_channels_must_fit_the_heads():
    with pytest.raises(ValueError, match=r'channels \(16\) must be a multiple of num_heads \(3\)'):
        TrajectoryAttention(16, 3)


def test_paper_settings_have_no_biases_and_do_not_scale():
    attention = TrajectoryAttention(CHANNELS, num_heads=1, scale=1.0, bias=False)
    assert not [name for name, _ in attention.named_parameters() if name.endswith('bias')]
    assert attention.scale == 1
    assert TrajectoryAttention(64, num_heads=4).scale == 0.25


def test_attention_dropout_acts_in_training_only():
    attention = TrajectoryAttention(CHANNELS, num_heads=2, attention_dropout=0.5)
    x = torch.randn(1, 6, CHANNELS)
    attention.train()
    assert not torch.equal(attention(x, x, 2), attention(x, x, 2))
    attention.eval()
    assert torch.equal(attention(x, x, 2), attention(x, x, 2))


@pytest.mark.parametrize('frames', [1, 2, 4])
def test_clips_of_a_batch_do_not_see_each_other(layer, frames):
    features, position = clip(frames=frames), clip(batch=1, frames=frames)
    together = layer(features, position)
    assert together.shape == features.shape
    for alone, of_batch in zip(features, together, strict=True):
        torch.testing.assert_close(layer(alone[None], position)[0], of_batch, rtol=0, atol=1e-5)


def test_frames_with_their_positions_may_change_places(layer):
    features, position = clip(), clip(batch=1)
    order = [2, 0, 1]
    reordered = layer(features[:, order], position[:, order])
    torch.testing.assert_close(reordered, layer(features, position)[:, order], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('silent', 'axis'), [('width_attn', 3), ('height_attn', 2)], ids=['columns', 'rows']
)
def test_each_attention_stays_on_its_lines(layer, silent, axis):
    """With the other attention silenced a changed column (row) changes itself, in all frames."""
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


def test_dropout_acts_on_what_is_added(layer):
    """Nothing of either attention is left with p = 1."""
    features, position = clip(), clip(batch=1)
    layer.dropout.p = 1.0
    layer.train()
    normed = layer.norm1(features)
    expected = layer.norm2(normed + layer.linear2(layer.linear1(normed).relu()))
    torch.testing.assert_close(layer(features, position), expected, rtol=0, atol=1e-5)


def test_a_stack_applies_its_layers_in_turn():
    stack = randomised(
        AxialTrajectoryEncoder(CHANNELS, num_layers=2, num_heads=2, feedforward_channels=8)
    )
    features, position = clip(), clip(batch=1)
    first, second = stack.layers
    expected = second(first(features, position), position)
    assert torch.equal(stack(features, position), expected)


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
    """Plain attention and one with trajectories, equal in all weights that they share."""
    tracked = randomised(DeformableAxialTrajectoryAttention(TRAJECTORY, **DEFORMABLE))
    plain = ClipDeformableAttention(**DEFORMABLE).eval()
    shared = plain.state_dict().keys()
    plain.load_state_dict({k: v for k, v in tracked.state_dict().items() if k in shared})
    return plain, tracked


@pytest.mark.parametrize('num_frames', [1, 3])
def test_without_layer_scale_nothing_is_tracked(num_frames):
    plain, tracked = paired_attentions()
    inputs = deformable_inputs(num_frames)
    assert not torch.allclose(tracked(**inputs), plain(**inputs))
    torch.nn.init.zeros_(tracked.gamma)
    assert torch.equal(tracked(**inputs), plain(**inputs))


def test_only_the_coarsest_levels_are_tracked():
    plain, tracked = paired_attentions()
    inputs = deformable_inputs(3)
    difference = (tracked(**inputs) - plain(**inputs)).abs().amax((0, 2))
    coarse = sum(h * w for h, w in SHAPES[:2])
    assert (difference[:coarse] > 0).all()
    assert (difference[coarse:] == 0).all()


def test_layer_scale_begins_small():
    attention = DeformableAxialTrajectoryAttention(TRAJECTORY, **DEFORMABLE)
    assert torch.equal(attention.gamma, torch.full((CHANNELS,), 1e-6))
    attention = DeformableAxialTrajectoryAttention(dict(TRAJECTORY, layer_scale=0.1), **DEFORMABLE)
    assert torch.equal(attention.gamma, torch.full((CHANNELS,), 0.1))


def test_frames_meet_in_trajectories_only():
    plain, tracked = paired_attentions()
    inputs = deformable_inputs(3)
    changed = dict(inputs, query=inputs['query'].clone())
    changed['query'][2].normal_()
    assert torch.equal(plain(**changed)[:2], plain(**inputs)[:2])
    assert not torch.allclose(tracked(**changed)[:2], tracked(**inputs)[:2])


def test_clips_do_not_meet():
    _, tracked = paired_attentions()
    inputs = deformable_inputs(2, batch=3)
    of_batch = tracked(**inputs)
    for i in range(3):
        alone = tracked(**dict(inputs, query=inputs['query'][2 * i : 2 * i + 2]))
        torch.testing.assert_close(alone, of_batch[2 * i : 2 * i + 2], rtol=0, atol=1e-5)


def test_identity_replaces_the_query_in_the_sum():
    plain, _ = paired_attentions()
    inputs = deformable_inputs(1)
    zero = torch.zeros_like(inputs['query'])
    torch.testing.assert_close(plain(**inputs, identity=zero) + inputs['query'], plain(**inputs))


def test_initialised_as_mmcv_does():
    """mmdet re-initialises what is an mmcv attention: samples in a ring, no dependence on input."""
    attention = DeformableAxialTrajectoryAttention(TRAJECTORY, **DEFORMABLE)
    attention.init_weights()
    assert not attention.sampling_offsets.weight.any()
    assert not attention.attention_weights.weight.any()
    ring = attention.sampling_offsets.bias.view(2, 3, 2, 2)  # heads, levels, points, (x, y)
    assert torch.equal(ring.abs().amax(-1), torch.tensor([1.0, 2.0]).expand(2, 3, 2))


def test_more_tracked_levels_than_levels():
    with pytest.raises(ValueError, match='num_levels is 4, but the attention has 3 levels'):
        DeformableAxialTrajectoryAttention(dict(TRAJECTORY, num_levels=4), **DEFORMABLE)
