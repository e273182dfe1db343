"""Trajectory attention compared with the paper's equations as plain loops."""

import math
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.profiler import profile

from axialvs.functional import trajectory_attention as module
from axialvs.functional.trajectory_attention import (
    TrajectoryProjections,
    TrajectorySpec,
    diagonal,
    spatial_attention,
    temporal_attention,
    trajectory_attention,
    trajectory_attention_eager,
)

BATCH, TOKENS, CHANNELS = 2, 3, 16
# num_heads, scale, bias
SETTINGS = {'paper': (1, 1.0, False), 'released': (8, (CHANNELS / 8) ** -0.5, True)}


def random_case(num_frames, bias=True, seed=0, tokens=TOKENS, channels=CHANNELS, batch=BATCH):
    """Return query, key and value (B, T * n, C) and projections in float64."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    sequences = [draw(batch, num_frames * tokens, channels) for _ in range(3)]
    projections = TrajectoryProjections(
        draw(channels, channels) * channels**-0.5,
        draw(channels) if bias else None,
        draw(2 * channels, channels) * channels**-0.5,
        draw(2 * channels) if bias else None,
    )
    return sequences, projections


def softmax(numbers):
    exponentials = [math.exp(x - max(numbers)) for x in numbers]
    return [x / sum(exponentials) for x in exponentials]


def weighted_sum(weights, vectors):
    return sum(weight * vector for weight, vector in zip(weights, vectors, strict=True))


def affine(weight, bias, x):
    return weight @ x if bias is None else weight @ x + bias


def equations(sequences, projections, spec):
    """Compute Eq. 2-4 one token, one frame and one head at a time."""
    num_frames, num_heads, scale, _ = spec
    batch, length, channels = sequences[0].shape
    tokens = length // num_frames
    heads = [
        slice(h * channels // num_heads, (h + 1) * channels // num_heads) for h in range(num_heads)
    ]
    out = torch.empty(batch, length, channels, dtype=torch.float64)
    for b in range(batch):
        query, key, value = (x[b] for x in sequences)
        for s in range(length):
            trajectory = []  # Eq. 2: token s in each frame
            for f in range(num_frames):
                members = range(f * tokens, (f + 1) * tokens)
                token = torch.empty(channels, dtype=torch.float64)
                for head in heads:
                    weights = softmax(
                        [scale * float(query[s, head] @ key[m, head]) for m in members]
                    )
                    token[head] = weighted_sum(weights, [value[m, head] for m in members])
                trajectory.append(token)
            own = trajectory[s // tokens]  # Eq. 3
            second_query = affine(projections.query_weight, projections.query_bias, own)
            both = [
                affine(projections.key_value_weight, projections.key_value_bias, x)
                for x in trajectory
            ]
            keys, values = [x[:channels] for x in both], [x[channels:] for x in both]
            for head in heads:  # Eq. 4
                weights = softmax([scale * float(second_query[head] @ x[head]) for x in keys])
                out[b, s, head] = weighted_sum(weights, [x[head] for x in values])
    return out


@pytest.mark.parametrize('num_frames', [1, 2, 3, 5])
@pytest.mark.parametrize('setting', SETTINGS)
def test_both_implementations_compute_the_equations(setting, num_frames):
    num_heads, scale, bias = SETTINGS[setting]
    sequences, projections = random_case(num_frames, bias)
    spec = TrajectorySpec(num_frames, num_heads, scale)
    expected = equations(sequences, projections, spec)
    out = trajectory_attention(*sequences, projections, spec)
    eager, *weights = trajectory_attention_eager(*sequences, projections, spec)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(eager, expected, rtol=0, atol=1e-10)
    length = num_frames * TOKENS
    assert weights[0].shape == (BATCH, num_heads, length, num_frames, TOKENS)
    assert weights[1].shape == (BATCH, num_heads, length, num_frames)
    for x in weights:
        torch.testing.assert_close(x.sum(-1), torch.ones_like(x[..., 0]))


@pytest.mark.parametrize('setting', SETTINGS)
def test_both_temporal_attentions_of_two_frames_agree(setting):
    num_heads, scale, bias = SETTINGS[setting]
    sequences, projections = random_case(2, bias, seed=1)
    tokens = spatial_attention(*sequences, TrajectorySpec(2, num_heads, scale))
    assert tokens.shape == (BATCH, 2 * TOKENS, 2, CHANNELS)
    tokens = tokens.flatten(0, 1)
    query = torch.randn(len(tokens), num_heads, CHANNELS // num_heads, dtype=torch.float64)
    torch.testing.assert_close(
        module._attend_two_frames(query, tokens, projections),
        module._attend_absorbed(query, tokens, projections),
        rtol=0,
        atol=1e-12,
    )


def assert_equal_to_eager(sequences, projections, spec):
    """Compare results, with and without gradients, and all gradients for a strided direction."""
    inputs = [x.requires_grad_() for x in (*sequences, *projections) if x is not None]
    direction = torch.randn_like(sequences[0].transpose(1, 2).contiguous()).transpose(1, 2)
    out = trajectory_attention(*sequences, projections, spec)
    expected = trajectory_attention_eager(*sequences, projections, spec)[0]
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(out, inputs, direction),
        torch.autograd.grad(expected, inputs, direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    with torch.no_grad():
        without = trajectory_attention(*sequences, projections, spec)
    torch.testing.assert_close(without, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('num_frames', [1, 2, 3])
@pytest.mark.parametrize('lines', [2, 1, 2 / 3, 1 / 3, 1 / 6], ids='{:.2f} lines'.format)
def test_chunked_matches_eager(monkeypatch, num_frames, lines):
    """Chunks of several lines, parts of a line, or fewer than one token per frame."""
    sequences, projections = random_case(num_frames, batch=5)
    spec = TrajectorySpec(num_frames, 8, 0.7)
    monkeypatch.setattr(module, '_CPU_CHUNK_TOKENS', round(lines * num_frames * TOKENS))
    chunk = module._chunk_size(*sequences[:2], spec)
    frames = max(1, round(num_frames / 2)) if lines == 1 / 6 else num_frames
    tokens = {2: 3, 1: 3, 2 / 3: 2, 1 / 3: 1, 1 / 6: 1}[lines]
    assert chunk == (2 if lines == 2 else 1, frames, tokens)
    assert_equal_to_eager(sequences, projections, spec)


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize(('batch', 'num_frames'), [(1, 1), (1, 2), (2, 2), (3, 4), (1, 7)])
def test_default_matches_eager(setting, batch, num_frames):
    num_heads, scale, bias = SETTINGS[setting]
    sequences, projections = random_case(num_frames, bias, seed=2, batch=batch)
    assert_equal_to_eager(sequences, projections, TrajectorySpec(num_frames, num_heads, scale))


def test_strided_inputs():
    sequences, projections = random_case(3, seed=6)
    sequences = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in sequences]
    projections = TrajectoryProjections(
        *(x.repeat_interleave(2, -1)[..., ::2] for x in projections)
    )
    assert not any(x.is_contiguous() for x in (*sequences, *projections))
    assert_equal_to_eager(sequences, projections, TrajectorySpec(3, 8, 0.7))


def test_frozen_inputs_get_no_gradient():
    sequences, projections = random_case(2, seed=7)
    sequences[2].requires_grad_()
    trajectory_attention(*sequences, projections, TrajectorySpec(2, 8, 0.7)).sum().backward()
    assert sequences[2].grad is not None
    assert all(x.grad is None for x in (*sequences[:2], *projections))


def test_recomputation_repeats_dropout():
    """Results and gradients equal those of autograd through both steps without recomputation."""
    sequences, projections = random_case(3, seed=10)
    inputs = [x.requires_grad_() for x in (*sequences, *projections)]
    direction = torch.randn_like(sequences[0])
    spec = TrajectorySpec(3, 8, 0.7, dropout_p=0.4)

    def without_recomputation():
        tokens = spatial_attention(*sequences, spec)
        own = diagonal(tokens.unflatten(1, (3, -1)))
        return temporal_attention(tokens, own, projections, spec)

    def results(attend):
        torch.manual_seed(0)
        out = attend()
        torch.rand(7)  # advance the random state before backward
        return out, *torch.autograd.grad(out, inputs, direction)

    recomputed = results(lambda: trajectory_attention(*sequences, projections, spec))
    for ours, theirs in zip(recomputed, results(without_recomputation), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize('num_frames', [1, 2, 3])
def test_gradcheck(num_frames):
    sequences, projections = random_case(num_frames, seed=3, tokens=2, channels=4, batch=1)
    inputs = [x.requires_grad_() for x in (*sequences, *projections)]

    def attend(query, key, value, *weights):
        spec = TrajectorySpec(num_frames, 2, 0.7)
        return trajectory_attention(query, key, value, TrajectoryProjections(*weights), spec)

    assert torch.autograd.gradcheck(attend, inputs)


@pytest.mark.parametrize('needs_gradient', [False, True])
@pytest.mark.parametrize('num_frames', [1, 2, 3])
@pytest.mark.parametrize('setting', SETTINGS)
def test_autocast_returns_the_dtype_of_a_linear_layer(setting, num_frames, needs_gradient):
    num_heads, scale, bias = SETTINGS[setting]
    sequences, projections = random_case(num_frames, bias, seed=11)
    sequences = [x.float().requires_grad_(needs_gradient) for x in sequences]
    projections = TrajectoryProjections(*(x if x is None else x.float() for x in projections))
    spec = TrajectorySpec(num_frames, num_heads, scale)
    expected = trajectory_attention(*sequences, projections, spec)
    with torch.autocast('cpu', torch.bfloat16):
        out = trajectory_attention(*sequences, projections, spec)
        eager, *_ = trajectory_attention_eager(*sequences, projections, spec)
    assert out.dtype == eager.dtype == torch.bfloat16
    assert (out - expected).abs().max() < 0.05 * expected.abs().max()
    if needs_gradient:
        direction = torch.randn_like(expected)
        found, wanted = (
            torch.cat(torch.autograd.grad(x, sequences, direction.to(x.dtype)))
            for x in (out, expected)
        )
        assert found.dtype == torch.float32
        assert torch.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.99


class CudaAutocast(TorchFunctionMode):
    """Compute sums and softmaxes in float32 as autocast on CUDA does, unlike on a CPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.sum, torch.Tensor.softmax):
            args = (args[0].float(), *args[1:])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('attend', [trajectory_attention, trajectory_attention_eager])
@pytest.mark.parametrize('num_frames', [2, 3])
@pytest.mark.parametrize('setting', SETTINGS)
def test_autocast_with_sums_in_float32(setting, num_frames, attend):
    num_heads, scale, bias = SETTINGS[setting]
    sequences, projections = random_case(num_frames, bias, seed=12)
    sequences = [x.bfloat16() for x in sequences]
    projections = TrajectoryProjections(*(x if x is None else x.float() for x in projections))
    spec = TrajectorySpec(num_frames, num_heads, scale)
    with torch.autocast('cpu', torch.bfloat16):
        expected = attend(*sequences, projections, spec)
        with CudaAutocast():
            found = attend(*sequences, projections, spec)
    if attend is trajectory_attention_eager:
        expected, found = expected[0], found[0]
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05 * float(expected.abs().max()))


@pytest.mark.parametrize('num_frames', [2, 5])
def test_equivariant_to_the_order_of_frames(num_frames):
    num_heads, scale, bias = SETTINGS['released']
    sequences, projections = random_case(num_frames, bias, seed=4)
    spec = TrajectorySpec(num_frames, num_heads, scale)
    order = torch.randperm(num_frames, generator=torch.Generator().manual_seed(1))
    assert order.tolist() != list(range(num_frames))

    def reorder(x):
        return x.unflatten(1, (num_frames, TOKENS))[:, order].flatten(1, 2)

    out = trajectory_attention(*sequences, projections, spec)
    of_reordered = trajectory_attention(*map(reorder, sequences), projections, spec)
    torch.testing.assert_close(of_reordered, reorder(out), rtol=0, atol=1e-12)


def test_one_frame_is_plain_attention_with_a_second_value_projection():
    num_heads, scale, bias = SETTINGS['released']
    (query, key, value), projections = random_case(1, bias, seed=5)
    split = [x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (query, key, value)]
    attended = torch.nn.functional.scaled_dot_product_attention(*split, scale=scale)
    weight, bias = projections.key_value_weight[CHANNELS:], projections.key_value_bias[CHANNELS:]
    expected = torch.nn.functional.linear(attended.transpose(1, 2).flatten(2), weight, bias)
    out = trajectory_attention(query, key, value, projections, TrajectorySpec(1, num_heads, scale))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('supported', [True, False])
def test_cuda_tensors_use_the_triton_kernel_if_it_supports_them(monkeypatch, supported):
    kernel = ModuleType('axialvs.functional.trajectory_attention_triton')
    kernel.triton_supports = lambda query, num_heads, dropout_p: supported
    kernel.trajectory_attention_triton = lambda *arguments: ('triton', arguments[4:])
    monkeypatch.setitem(sys.modules, kernel.__name__, kernel)
    monkeypatch.setattr(module, '_TRITON_IS_INSTALLED', True)
    monkeypatch.setattr(module, 'chunked_trajectory_attention', lambda *_: 'chunked')
    spec = TrajectorySpec(3, 8, 0.7)
    out = trajectory_attention(SimpleNamespace(is_cuda=True), None, None, None, spec)
    assert out == (('triton', (3, 8, 0.7)) if supported else 'chunked')


def test_fused_spatial_attention():
    """Devices other than the CPU use it."""
    sequences, _ = random_case(3, seed=13)
    spec = TrajectorySpec(3, 8, 0.7)
    fused = module._spatial_attention_sdpa(*(module.split_heads(x, 8) for x in sequences), spec)
    expected = spatial_attention(*sequences, spec)
    torch.testing.assert_close(fused, expected, rtol=0, atol=1e-12)


def test_dropout_rescales_the_remaining_weights():
    """With equal values everywhere, attention returns that value; dropout preserves its mean."""
    length, num_frames = 64, 2
    query = torch.zeros(1, num_frames * length, 2)
    value = torch.ones_like(query)
    identity = torch.eye(2)
    projections = TrajectoryProjections(identity, None, torch.cat((identity, identity)), None)
    spec = TrajectorySpec(num_frames, dropout_p=0.5)
    torch.manual_seed(0)
    for attend in (trajectory_attention, lambda *args: trajectory_attention_eager(*args)[0]):
        out = attend(query, query, value, projections, spec)
        assert out.std() > 0.01
        assert abs(out.mean() - 1) < 0.05


def peak_bytes(function) -> int:
    """Return the most bytes of tensors that a call allocates at a time."""
    with profile(profile_memory=True) as record:
        result = function()
    del result
    events = [x for x in record.profiler.kineto_results.events() if x.name() == '[memory]']
    held = peak = 0
    for event in sorted(events, key=lambda x: x.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize('train', [False, True])
def test_memory_stays_below_the_trajectory_tokens(train):
    """Neither forward nor backward holds the trajectory tokens or the map of all tokens."""
    num_frames, tokens, channels, num_lines = 5, 16, 32, 128
    sequences, projections = random_case(
        num_frames, tokens=tokens, channels=channels, batch=num_lines
    )
    inputs = [x.requires_grad_(train) for x in (*sequences, *projections)]

    def attend():
        out = trajectory_attention(*sequences, projections, TrajectorySpec(num_frames, 4, 0.5))
        return torch.autograd.grad(out.sum(), inputs) if train else out

    # In units of the input, trajectory tokens take 5, and so does the map of spatial weights;
    # the output takes 1, gradients another 3, and twice that while chunks are concatenated.
    assert peak_bytes(attend) < (10 if train else 4) * sequences[0].nbytes


def test_memory_of_few_queries_stays_below_their_map():
    """One query of each of many clips attends to all queries of all clips."""
    num_frames, tokens, num_heads = 200, 20, 4
    (query, key, value), projections = random_case(num_frames, tokens=tokens, batch=1)
    spec = TrajectorySpec(num_frames, num_heads, 0.5)
    with torch.no_grad():
        held = peak_bytes(
            lambda: trajectory_attention(query[:, ::tokens], key, value, projections, spec)
        )
    assert held < num_heads * num_frames * num_frames * tokens * key.element_size()
