"""Layers of the cross-clip tracking module: equations, values by hand, invariances."""

import math

import pytest
import torch
from torch import nn

from axialvs.functional.trajectory_attention import (
    TrajectorySpec,
    trajectory_attention_eager,
)
from axialvs.layers.cross_clip.designs import build_cross_clip
from axialvs.layers.cross_clip.tracking import ClipTrajectoryAttention, CrossClipTracking
from axialvs.layers.temporal_aspp import TemporalASPP
from axialvs.registry import CROSS_CLIP_DESIGNS
from axialvs.utils.errors import AxialVSError

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
def test_attention_matches_the_equations(queries, num_heads, scale):
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


DESIGNS = {
    'Trajectory': dict(num_layers=2, num_heads=2, attention_dropout=0.0),
    'SelfAttention': dict(num_layers=2, num_heads=2, attention_dropout=0.0),
    'VITA': dict(num_queries=3, num_layers=2, num_heads=2, feedforward_channels=6, window=2),
    'none': dict(),
}


def design(name, **options):
    torch.manual_seed(0)
    if name in ('Trajectory', 'SelfAttention'):
        options.setdefault('aspp', dict(dropout=0.0))
    return build_cross_clip(CHANNELS, dict(DESIGNS[name], type=name, **options)).double()


def attention_by_loops(attention, query, key, value, attends):
    """Attend token by token, query (N, C), key and value (S, C); `attends(i, j)` masks."""
    query, key, value = attention.q(query), attention.k(key), attention.v(value)
    size, out = CHANNELS // attention.num_heads, torch.empty_like(query)
    for i, row in enumerate(query):
        others = [j for j in range(len(key)) if attends(i, j)]
        for head in range(attention.num_heads):
            part = slice(head * size, (head + 1) * size)
            weights = [math.exp(float(row[part] @ key[j][part]) / math.sqrt(size)) for j in others]
            values = [w * value[j][part] for w, j in zip(weights, others, strict=True)]
            out[i, part] = sum(values) / sum(weights)
    return attention.proj(out)


@torch.no_grad()
def test_self_attention_matches_the_equation(queries):
    layer = design('SelfAttention').layers[0]
    tokens = queries[0].flatten(0, 1)
    expected = attention_by_loops(layer.self_attn, tokens, tokens, tokens, lambda i, j: True)
    out = layer.self_attn(queries[:1]).flatten(0, 2)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize('shift', [0, 1])
def test_window_encoder_matches_the_equation(queries, shift):
    """Five clips in windows of two: the last one, or with a shift the first one, is unpaired."""
    layer = design('VITA', num_encoder_layers=2).encoder[shift]
    assert layer.shift == shift
    clips = torch.cat([queries[0], queries[1, :1]])
    tokens = clips.flatten(0, 1)
    window = [(n // QUERIES + shift) // 2 for n in range(len(tokens))]
    out = attention_by_loops(
        layer.attn, tokens, tokens, tokens, lambda i, j: window[i] == window[j]
    )
    expected = layer.norm1(tokens + out)
    expected = layer.norm2(expected + layer.ffn[2](layer.ffn[0](expected).clamp(min=0)))
    torch.testing.assert_close(layer(clips[None]).flatten(0, 2), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_video_decoder_matches_the_equation(queries):
    module = design('VITA')
    layer, position = module.layers[0], module.query_embed.weight
    video, memory = module.query_feat.weight, queries[0].flatten(0, 1)

    def attend(attention, query, key, value):
        return attention_by_loops(attention, query, key, value, lambda i, j: True)

    expected = layer.norm1(video + attend(layer.cross_attn, video + position, memory, memory))
    placed = expected + position
    expected = layer.norm2(expected + attend(layer.self_attn, placed, placed, expected))
    expected = layer.norm3(expected + layer.ffn(expected))
    out = layer(video[None], position, memory[None])[0]
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_video_queries_are_invariant_to_clip_query_order(queries):
    module = design('VITA')
    refined = module(queries)[-1]
    assert refined.shape == (BATCH, CLIPS, 3, CHANNELS)
    assert torch.equal(refined[:, 0], refined[:, -1])
    torch.testing.assert_close(module(queries[:, :, torch.randperm(QUERIES)])[-1], refined)
    torch.testing.assert_close(module.pool_clips(refined), refined[:, 0])


@torch.no_grad()
def test_design_none_returns_queries_unchanged(queries):
    (refined,) = design('none')(queries)
    assert torch.equal(refined, queries)


@torch.no_grad()
def test_equivariant_to_the_order_of_clips_without_aspp(queries):
    module = design('SelfAttention', aspp=dict(type='none', rates=(1, 2, 3)))
    assert not [name for name in module.state_dict() if 'aspp' in name]
    torch.testing.assert_close(module(queries.flip(1))[-1].flip(1), module(queries)[-1])


@pytest.mark.parametrize('name', ['Trajectory', 'SelfAttention', 'VITA'])
def test_gradients_of_designs(name, queries):
    module = design(name)
    clips = queries[:1, :, :2].clone().requires_grad_()

    def pooled(x):
        return module.pool_clips(module(x)[-1])

    assert torch.autograd.gradcheck(pooled, clips, fast_mode=True)
    pooled(clips).square().sum().backward()
    assert all(x.grad is not None for x in module.parameters())


def test_unknown_design_raises():
    with pytest.raises(AxialVSError, match=r"'Axial'.*SelfAttention.*VITA"):
        build_cross_clip(CHANNELS, dict(type='Axial'))
    assert set(DESIGNS) == set(CROSS_CLIP_DESIGNS.module_dict)
