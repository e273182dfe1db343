"""Layers of the cross-clip tracking module: equations, values by hand, invariances."""

import pytest
import torch
from torch import nn

from axialvs.functional.trajectory_attention import (
    TrajectorySpec,
    trajectory_attention_eager,
)
from axialvs.layers.cross_clip import ClipTrajectoryAttention, CrossClipTracking
from axialvs.layers.temporal_aspp import TemporalASPP

BATCH, CLIPS, QUERIES, CHANNELS = 2, 4, 5, 8


def draw(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def queries():
    return draw(BATCH, CLIPS, QUERIES, CHANNELS)


def attention_layer(**kwargs):
    torch.manual_seed(0)
    return ClipTrajectoryAttention(CHANNELS, **kwargs).double().eval()


@pytest.mark.parametrize(('num_heads', 'scale'), [(1, 1.0), (2, None)])
def test_attention_is_its_equations(queries, num_heads, scale):
    """Eq. 5-6 are Eq. 2-4 with clips as frames and queries as positions."""
    layer = attention_layer(num_heads=num_heads, scale=scale)
    qkv = layer.qkv(queries.flatten(1, 2)).chunk(3, dim=-1)
    scale = (CHANNELS // num_heads) ** -0.5 if scale is None else scale
    spec = TrajectorySpec(CLIPS, num_heads, scale)
    expected, *_ = trajectory_attention_eager(*qkv, layer.projections, spec)
    expected = layer.proj(expected).view(queries.shape)
    torch.testing.assert_close(layer(queries), expected, rtol=0, atol=1e-10)


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match=r'channels \(8\) must be a multiple of num_heads \(3\)'):
        ClipTrajectoryAttention(CHANNELS, num_heads=3)


def test_equivariant_to_the_order_of_queries_but_not_of_clips(queries):
    torch.manual_seed(0)
    module = CrossClipTracking(CHANNELS, num_layers=2, num_heads=2).double().eval()
    blocks = module(queries)
    assert [x.shape for x in blocks] == [queries.shape] * 2
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(module(queries[:, :, order])[-1], blocks[-1][:, :, order])
    backwards = module(queries.flip(1))[-1].flip(1)
    assert (backwards - blocks[-1]).abs().max() > 1e-3


def test_queries_interact_in_attention_only(queries):
    """Without the output of the attention, each query is refined independently."""
    module = CrossClipTracking(CHANNELS, num_layers=1, num_heads=2).double().eval()
    layer = module.layers[0]
    nn.init.zeros_(layer.trajectory_attn.proj.weight)
    nn.init.zeros_(layer.trajectory_attn.proj.bias)
    changed = queries.clone()
    changed[:, :, 2] += 1
    difference = (module(changed)[-1] - module(queries)[-1]).abs().amax(dim=(0, 1, 3))
    assert difference[2] == difference.max()
    assert not difference[[0, 1, 3, 4]].any()


def test_pooled_clips():
    module = CrossClipTracking(2, num_layers=1, num_heads=1)
    module.clip_weight.weight.data = torch.tensor([[1.0, 0.0]])
    features = torch.tensor([[0.0, 4.0], [torch.log(torch.tensor(3.0)), 8.0]]).view(1, 2, 1, 2)
    pooled = module.pool_clips(features)  # weights 1/4 and 3/4
    assert pooled[0, 0].tolist() == pytest.approx([0.75 * 1.0986123, 7.0])
    nn.init.zeros_(module.clip_weight.weight)
    assert module.pool_clips(features)[0, 0, 1] == 6.0


def test_no_layers_raises():
    with pytest.raises(ValueError, match='num_layers is 0'):
        CrossClipTracking(CHANNELS, num_layers=0)


def test_convolutions_replicate_the_first_and_last_clip():
    """One channel, a sum over the kernel at rate 2."""
    aspp = TemporalASPP(1, kernel_sizes=(3,), rates=(2,)).eval()
    nn.init.ones_(aspp.convs[0].weight)
    nn.init.zeros_(aspp.convs[0].bias)
    clips = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])
    assert aspp.convs[0](clips).tolist() == [[[1 + 1 + 4, 1 + 2 + 8, 1 + 4 + 8, 2 + 8 + 8]]]


@pytest.mark.parametrize('num_clips', [1, 2, 9])
def test_any_number_of_clips(num_clips):
    aspp = TemporalASPP(CHANNELS).double().eval()
    sequences = draw(3, CHANNELS, 1).expand(-1, -1, num_clips)
    out = aspp(sequences)
    assert out.shape == sequences.shape
    # The number of equal clips does not matter.
    torch.testing.assert_close(out, aspp(sequences[..., :1]).expand_as(out))


def test_different_numbers_of_kernels_and_rates_raise():
    with pytest.raises(ValueError, match='2 kernel_sizes and 3 rates'):
        TemporalASPP(CHANNELS, kernel_sizes=(3, 3))


def test_truncated_normal_is_cut_at_two_standard_deviations():
    torch.manual_seed(0)
    weight = TemporalASPP(64).proj.weight
    std = (2 / (3 * 64)) ** 0.5
    assert weight.abs().max() <= 2 * std
    assert weight.abs().max() > 1.9 * std
