"""Trajectory attention against the paper's equations as plain loops, in both of its forms."""

import math

import pytest
import torch

from axialvs.functional import trajectory_attention as module
from axialvs.functional.trajectory_attention import (
    TrajectoryProjections,
    pool_trajectories,
    trace_trajectories,
    trajectory_attention,
    trajectory_attention_eager,
)

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


@pytest.mark.parametrize('num_frames', [1, 2, 3, 5])
@pytest.mark.parametrize('setting', SETTINGS)
def test_both_ways_to_pool_agree_for_any_number_of_frames(setting, num_frames, monkeypatch):
    num_heads, scale, bias = SETTINGS[setting].values()
    sequences, projections = random_case(num_frames, bias, seed=1)
    points = trace_trajectories(*sequences, num_frames, num_heads, scale)
    assert points.shape == (BATCH, num_frames * TOKENS, num_frames, CHANNELS)
    monkeypatch.setattr(module, '_MIN_FRAMES_TO_ABSORB', num_frames + 1)
    projected = pool_trajectories(points, projections, num_heads, scale)
    monkeypatch.setattr(module, '_MIN_FRAMES_TO_ABSORB', 1)
    absorbed = pool_trajectories(points, projections, num_heads, scale)
    torch.testing.assert_close(projected, absorbed, rtol=0, atol=1e-12)


def test_long_batches_are_worked_on_in_pieces(monkeypatch):
    num_heads, scale, bias = SETTINGS['released'].values()
    sequences, projections = random_case(3, bias, batch=5)
    arguments = (projections, 3, num_heads, scale)
    whole = trajectory_attention(*sequences, *arguments)
    monkeypatch.setattr(module, '_TOKENS_AT_ONCE', 2 * 3 * TOKENS)  # two of the five at once
    in_pieces = trajectory_attention(*sequences, *arguments)
    torch.testing.assert_close(in_pieces, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize('num_frames', [2, 4])
def test_gradients_are_those_of_the_eager_form(num_frames):
    num_heads, scale, bias = SETTINGS['released'].values()
    sequences, projections = random_case(num_frames, bias, seed=2)
    inputs = [x.requires_grad_() for x in (*sequences, *projections)]
    direction = torch.randn(BATCH, num_frames * TOKENS, CHANNELS, dtype=torch.float64)
    arguments = (projections, num_frames, num_heads, scale)
    fast = torch.autograd.grad(trajectory_attention(*sequences, *arguments), inputs, direction)
    eager = torch.autograd.grad(
        trajectory_attention_eager(*sequences, *arguments)[0], inputs, direction
    )
    for ours, theirs in zip(fast, eager, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize('num_frames', [1, 2, 3])
def test_gradcheck(num_frames):
    sequences, projections = random_case(num_frames, True, seed=3, tokens=2, channels=4, batch=1)
    inputs = [x.requires_grad_() for x in (*sequences, *projections)]

    def attend(query, key, value, *weights):
        return trajectory_attention(
            query, key, value, TrajectoryProjections(*weights), num_frames, 2, 0.7
        )

    assert torch.autograd.gradcheck(attend, inputs)


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
