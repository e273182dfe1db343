"""Trajectory attention against the paper's equations as plain loops, in both of its forms."""

import math

import pytest
import torch
from torch.overrides import TorchFunctionMode

from axialvs.functional import trajectory_gradients, trajectory_pooling, trajectory_steps
from axialvs.functional.trajectory_attention import (
    TrajectoryProjections,
    trace_trajectories,
    trajectory_attention,
    trajectory_attention_eager,
)
from axialvs.profiling.memory import peak_extra_bytes

BATCH, TOKENS, CHANNELS = 2, 3, 16
SETTINGS = {
    'paper': dict(num_heads=1, scale=1.0, bias=False),
    'released': dict(num_heads=8, scale=(CHANNELS / 8) ** -0.5, bias=True),
}


def random_case(num_frames, bias, seed=0, tokens=TOKENS, channels=CHANNELS, batch=BATCH):
    """Query, key and value (B, T * n, C) and projections in float64, none of them small."""
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


def equations(sequences, projections, num_frames, num_heads, scale):
    """Eq. 2-4 one token, one frame and one head at a time."""
    batch, length, channels = sequences[0].shape
    tokens = length // num_frames
    heads = [
        slice(h * channels // num_heads, (h + 1) * channels // num_heads) for h in range(num_heads)
    ]
    out = torch.empty(batch, length, channels, dtype=torch.float64)
    for b in range(batch):
        query, key, value = (x[b] for x in sequences)
        for s in range(length):
            trajectory = []  # Eq. 2: where token s lies in each frame
            for f in range(num_frames):
                members = range(f * tokens, (f + 1) * tokens)
                point = torch.empty(channels, dtype=torch.float64)
                for head in heads:
                    weights = softmax(
                        [scale * float(query[s, head] @ key[m, head]) for m in members]
                    )
                    point[head] = weighted_sum(weights, [value[m, head] for m in members])
                trajectory.append(point)
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
def test_both_forms_compute_the_equations(setting, num_frames):
    num_heads, scale, bias = SETTINGS[setting].values()
    sequences, projections = random_case(num_frames, bias)
    expected = equations(sequences, projections, num_frames, num_heads, scale)
    fast = trajectory_attention(*sequences, projections, num_frames, num_heads, scale)
    eager, path_weights, time_weights = trajectory_attention_eager(
        *sequences, projections, num_frames, num_heads, scale
    )
    torch.testing.assert_close(fast, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(eager, expected, rtol=0, atol=1e-10)
    length = num_frames * TOKENS
    assert path_weights.shape == (BATCH, num_heads, length, num_frames, TOKENS)
    assert time_weights.shape == (BATCH, num_heads, length, num_frames)
    for weights in (path_weights, time_weights):
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


@pytest.mark.parametrize('setting', SETTINGS)
def test_both_ways_to_pool_two_frames_agree(setting):
    num_heads, scale, bias = SETTINGS[setting].values()
    sequences, projections = random_case(2, bias, seed=1)
    points = trace_trajectories(*sequences, 2, num_heads, scale)
    assert points.shape == (BATCH, 2 * TOKENS, 2, CHANNELS)
    query = torch.randn(points.shape[0] * points.shape[1], num_heads, CHANNELS // num_heads)
    arguments = (query.double(), points.flatten(0, 1), projections)
    pair, absorbed = (
        trajectory_steps._pool_pair(*arguments),
        trajectory_steps._pool_absorbed(*arguments),
    )
    torch.testing.assert_close(pair, absorbed, rtol=0, atol=1e-12)


@pytest.mark.parametrize('num_frames', [1, 2, 3])
@pytest.mark.parametrize('at_once', [2, 1, 2 / 3, 1 / 3, 1 / 6], ids='{:.2f} lines'.format)
def test_pieces_give_what_the_whole_gives(monkeypatch, num_frames, at_once):
    """Several lines at once, less than a line, or less than a token of every frame; the last piece
    is a smaller one."""
    sequences, projections = random_case(num_frames, True, batch=5)
    tokens = round(at_once * num_frames * TOKENS)
    monkeypatch.setattr(trajectory_gradients, '_TOKENS_AT_ONCE', tokens)
    monkeypatch.setattr(trajectory_pooling, '_TOKENS_AT_ONCE', max(1, tokens // 2))
    pieces = list(trajectory_gradients._pieces(*sequences[:2], num_frames, 8))
    assert len(pieces) == (3 if at_once == 2 else 5)
    of_frames = min(num_frames, 2)  # half of the frames, where there are several
    assert len(pieces[0][1]) == {2: 1, 1: 1, 2 / 3: 2, 1 / 3: 3, 1 / 6: 3 * of_frames}[at_once]
    assert_equal_to_eager(sequences, projections, num_frames)


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize(('batch', 'num_frames'), [(1, 1), (1, 2), (2, 2), (3, 4), (1, 7)])
def test_results_and_gradients_are_those_of_the_eager_form(setting, batch, num_frames):
    num_heads, scale, bias = SETTINGS[setting].values()
    sequences, projections = random_case(num_frames, bias, seed=2, batch=batch)
    assert_equal_to_eager(sequences, projections, num_frames, num_heads, scale)


def test_inputs_may_be_strided():
    sequences, projections = random_case(3, True, seed=6)
    sequences = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in sequences]
    projections = TrajectoryProjections(
        *(x.repeat_interleave(2, -1)[..., ::2] for x in projections)
    )
    assert not any(x.is_contiguous() for x in (*sequences, *projections))
    assert_equal_to_eager(sequences, projections, 3)


def assert_equal_to_eager(sequences, projections, num_frames, num_heads=8, scale=0.7):
    """Results, with and without gradients, and all gradients of a direction that is strided."""
    inputs = [x if x is None else x.requires_grad_() for x in (*sequences, *projections)]
    inputs = [x for x in inputs if x is not None]
    arguments = (*sequences, projections, num_frames, num_heads, scale)
    direction = torch.randn_like(sequences[0].transpose(1, 2).contiguous()).transpose(1, 2)
    out = trajectory_attention(*arguments)
    expected = trajectory_attention_eager(*arguments)[0]
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(out, inputs, direction),
        torch.autograd.grad(expected, inputs, direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    with torch.no_grad():
        without = trajectory_attention(*arguments)
    torch.testing.assert_close(without, expected, rtol=0, atol=1e-10)


def test_a_frozen_input_gets_no_gradient():
    sequences, projections = random_case(2, True, seed=7)
    sequences[2].requires_grad_()
    trajectory_attention(*sequences, projections, 2, 8, 0.7).sum().backward()
    assert sequences[2].grad is not None
    assert all(x.grad is None for x in (*sequences[:2], *projections))


@pytest.mark.parametrize('dropout_p', [0.0, 0.3])
def test_a_second_derivative_is_refused(dropout_p):
    sequences, projections = random_case(2, True, seed=8)
    query = sequences[0].requires_grad_()
    out = trajectory_attention(*sequences, projections, 2, 8, 0.7, dropout_p)
    (gradient,) = torch.autograd.grad(out.square().sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def test_dropout_of_the_recomputed_form_is_that_of_the_plain_steps():
    """The same draws as autograd through the steps: results and gradients agree."""
    sequences, projections = random_case(3, True, seed=10)
    inputs = [x.requires_grad_() for x in (*sequences, *projections)]
    direction = torch.randn_like(sequences[0])

    def plain():
        points = trace_trajectories(*sequences, 3, 8, 0.7, 0.4)
        return trajectory_steps.pool_trajectories(points, projections, 8, 0.7)

    results = []
    for form in (
        lambda: trajectory_attention(*sequences, projections, 3, 8, 0.7, 0.4),
        plain,
    ):
        torch.manual_seed(0)
        out = form()
        results.append((out, *torch.autograd.grad(out, inputs, direction)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_backward_pass_draws_the_forward_pass_dropout():
    """The output is linear in the values of the first step: their gradient gives it back."""
    sequences, projections = random_case(1, bias=False)
    value = sequences[2].requires_grad_()
    torch.manual_seed(5)
    out = trajectory_attention(*sequences, projections, 1, 2, 1.0, 0.5)
    torch.rand(7)  # somebody else draws in between
    direction = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, value, direction)
    torch.testing.assert_close((gradient * value).sum(), (direction * out).sum())


@pytest.mark.parametrize('num_frames', [1, 2, 3])
def test_gradcheck(num_frames):
    sequences, projections = random_case(num_frames, True, seed=3, tokens=2, channels=4, batch=1)
    inputs = [x.requires_grad_() for x in (*sequences, *projections)]

    def attend(query, key, value, *weights):
        return trajectory_attention(
            query, key, value, TrajectoryProjections(*weights), num_frames, 2, 0.7
        )

    assert torch.autograd.gradcheck(attend, inputs)


@pytest.mark.parametrize('needs_gradient', [False, True])
@pytest.mark.parametrize('num_frames', [1, 2, 3])
@pytest.mark.parametrize('setting', SETTINGS)
def test_under_autocast_results_have_the_type_of_a_linear_layer(
    setting, num_frames, needs_gradient
):
    num_heads, scale, bias = SETTINGS[setting].values()
    sequences, projections = random_case(num_frames, bias, seed=11)
    sequences = [x.float().requires_grad_(needs_gradient) for x in sequences]
    projections = TrajectoryProjections(*(x if x is None else x.float() for x in projections))
    arguments = (*sequences, projections, num_frames, num_heads, scale)
    expected = trajectory_attention(*arguments)
    with torch.autocast('cpu', torch.bfloat16):
        linear = torch.nn.functional.linear(sequences[0], projections.query_weight)
        out = trajectory_attention(*arguments)
        eager, *_ = trajectory_attention_eager(*arguments)
    assert out.dtype == eager.dtype == linear.dtype == torch.bfloat16
    # An error of a few roundings to eight bits.
    bound = 0.05 * expected.abs().max()
    assert (out - expected).abs().max() < bound
    if needs_gradient:
        direction = torch.randn_like(expected)
        found, wanted = (
            torch.cat(torch.autograd.grad(x, sequences, direction.to(x.dtype)))
            for x in (out, expected)
        )
        assert found.dtype == torch.float32
        assert torch.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.99


class CudaSums(TorchFunctionMode):
    """Sums and softmaxes in float32, as CUDA's autocast takes them; the CPU's leaves their type."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.sum, torch.Tensor.softmax):
            args = (args[0].float(), *args[1:])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('form', [trajectory_attention, trajectory_attention_eager])
@pytest.mark.parametrize('num_frames', [2, 3])
@pytest.mark.parametrize('setting', SETTINGS)
def test_under_an_autocast_that_sums_in_float32(setting, num_frames, form):
    num_heads, scale, bias = SETTINGS[setting].values()
    sequences, projections = random_case(num_frames, bias, seed=12)
    sequences = [x.bfloat16() for x in sequences]
    projections = TrajectoryProjections(*(x if x is None else x.float() for x in projections))
    arguments = (*sequences, projections, num_frames, num_heads, scale)
    with torch.autocast('cpu', torch.bfloat16):
        expected = form(*arguments)
        with CudaSums():
            found = form(*arguments)
    if form is trajectory_attention_eager:
        expected, found = expected[0], found[0]
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05 * float(expected.abs().max()))


@pytest.mark.parametrize('num_frames', [2, 5])
def test_reordered_frames_give_the_reordered_result(num_frames):
    num_heads, scale, bias = SETTINGS['released'].values()
    sequences, projections = random_case(num_frames, bias, seed=4)
    order = torch.randperm(num_frames, generator=torch.Generator().manual_seed(1))
    assert order.tolist() != list(range(num_frames))

    def reorder(x):
        return x.unflatten(1, (num_frames, TOKENS))[:, order].flatten(1, 2)

    out = trajectory_attention(*sequences, projections, num_frames, num_heads, scale)
    of_reordered = trajectory_attention(
        *map(reorder, sequences), projections, num_frames, num_heads, scale
    )
    torch.testing.assert_close(of_reordered, reorder(out), rtol=0, atol=1e-12)


def test_one_frame_is_plain_attention_with_a_second_value_projection():
    num_heads, scale, bias = SETTINGS['released'].values()
    (query, key, value), projections = random_case(1, bias, seed=5)
    split = [x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (query, key, value)]
    attended = torch.nn.functional.scaled_dot_product_attention(*split, scale=scale)
    attended = attended.transpose(1, 2).flatten(2)
    weight, bias = projections.key_value_weight[CHANNELS:], projections.key_value_bias[CHANNELS:]
    expected = torch.nn.functional.linear(attended, weight, bias)
    out = trajectory_attention(query, key, value, projections, 1, num_heads, scale)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


def test_dropout_scales_what_is_left():
    """With equal values everywhere attention gives that value; dropout keeps it in the mean."""
    length, num_frames = 64, 2
    query = torch.zeros(1, num_frames * length, 2)
    value = torch.ones_like(query)
    identity = torch.eye(2)
    projections = TrajectoryProjections(identity, None, torch.cat((identity, identity)), None)
    torch.manual_seed(0)
    for form in (trajectory_attention, lambda *args: trajectory_attention_eager(*args)[0]):
        out = form(query, query, value, projections, num_frames, 1, 1.0, 0.5)
        assert out.std() > 0.01
        assert abs(out.mean() - 1) < 0.05


def test_few_queries_at_a_time_do_not_hold_their_whole_map():
    """One query of each of many clips looks at all queries of all clips."""
    num_frames, tokens, num_heads = 200, 20, 4
    (query, key, value), projections = random_case(num_frames, True, tokens=tokens, batch=1)
    with torch.no_grad():
        held = peak_extra_bytes(
            lambda: trajectory_attention(
                query[:, ::tokens], key, value, projections, num_frames, num_heads, 0.5
            )
        )
    whole_map = num_heads * num_frames * num_frames * tokens * key.element_size()
    assert held < whole_map
