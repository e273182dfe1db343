"""Trajectory attention of tensors: a fast form and the literal equations, equal in value.

Source: Axial-VS Eq. 2-4 (within a clip, along one axis) and Eq. 5-6 (clip queries across clips).
In the letters used here a sequence has S = T * n tokens, frame by frame, of C channels in h heads
of d = C / h.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# From this many frames on, folding the key and value projections into query and output is cheaper
# than projecting every trajectory point: 2 C^2 + 2 h C T against 2 C^2 T + 2 C T multiplications a
# token.
_MIN_FRAMES_TO_ABSORB = 3


class TrajectoryProjections(NamedTuple):
    """Projections of the second step (Eq. 3): weights (out, in), biases or None."""

    query_weight: Tensor  # (C, C)
    query_bias: Tensor | None
    key_value_weight: Tensor  # (2C, C): keys, then values
    key_value_bias: Tensor | None


def _split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, S, C) -> (B, h, S, d)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _own_frame(trajectories: Tensor) -> Tensor:
    """The trajectory point in each token's own frame: (B, T, S, C) -> (B, S, C)."""
    num_frames = trajectories.shape[1]
    by_frame = trajectories.unflatten(2, (num_frames, -1))  # B, T target, T own, n, C
    return by_frame.diagonal(dim1=1, dim2=2).movedim(-1, 1).flatten(1, 2)


def trace_trajectories(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_frames: int,
    num_heads: int,
    scale: float,
    dropout_p: float = 0.0,
) -> Tensor:
    """Where each token lies in every frame (Eq. 2): attention within one target frame at a time.

    Args:
        query, key, value: (B, T * n, C).
        num_frames: T.
        num_heads: h.
        scale: factor on the scores.
        dropout_p: dropout on the attention weights.

    Returns:
        Trajectory points (B, T, T * n, C); the first T is the target frame.
    """
    batch = query.shape[0]
    # Batching over the target frame lets the fused kernel run; the (T n, T n) map is never stored.
    frames_first = [
        x.unflatten(1, (num_frames, -1))
        .flatten(0, 1)
        .unflatten(-1, (num_heads, -1))
        .transpose(1, 2)
        for x in (key, value)
    ]
    queries = (
        _split_heads(query, num_heads).unsqueeze(1).expand(-1, num_frames, -1, -1, -1).flatten(0, 1)
    )
    points = F.scaled_dot_product_attention(
        queries, *frames_first, dropout_p=dropout_p, scale=scale
    )
    return points.transpose(1, 2).flatten(2).unflatten(0, (batch, num_frames))


def pool_trajectories(
    points: Tensor, projections: TrajectoryProjections, num_heads: int, scale: float
) -> Tensor:
    """Attention over time along each trajectory (Eq. 3-4).

    Args:
        points: trajectory points (B, T, S, C) of `trace_trajectories`.
        projections: weights of Eq. 3.
        num_heads: h.
        scale: factor on the scores.

    Returns:
        (B, S, C).
    """
    if points.shape[1] >= _MIN_FRAMES_TO_ABSORB:
        return _pool_absorbed(points, projections, num_heads, scale)
    return _pool_projected(points, projections, num_heads, scale)


def _pool_projected(
    points: Tensor, projections: TrajectoryProjections, num_heads: int, scale: float
) -> Tensor:
    """The equations as written: every trajectory point is projected to a key and a value."""
    query = F.linear(_own_frame(points), projections.query_weight, projections.query_bias)
    key, value = F.linear(points, projections.key_value_weight, projections.key_value_bias).chunk(
        2, dim=-1
    )
    heads = (num_heads, -1)
    query, key, value = (x.unflatten(-1, heads) for x in (query * scale, key, value))
    weights = (query.unsqueeze(1) * key).sum(-1, keepdim=True).softmax(dim=1)  # B, T, S, h, 1
    return (weights * value).sum(1).flatten(-2)


def _pool_absorbed(
    points: Tensor, projections: TrajectoryProjections, num_heads: int, scale: float
) -> Tensor:
    """The same with the key projection moved to the query and the value projection behind the sum.

    The key bias adds the same number to every score of a token and cancels in the softmax; the
    weights of the sum add up to one, so the value bias is added once.
    """
    channels = points.shape[-1]
    key_weight, value_weight = projections.key_value_weight.chunk(2)
    query = F.linear(_own_frame(points), projections.query_weight, projections.query_bias) * scale
    per_head = query.unflatten(-1, (num_heads, -1)).flatten(0, 1).transpose(0, 1)  # h, BS, d
    absorbed = torch.bmm(per_head, key_weight.view(num_heads, -1, channels))  # h, BS, C
    points = points.transpose(1, 2).flatten(0, 1)  # BS, T, C
    weights = torch.bmm(absorbed.transpose(0, 1), points.transpose(1, 2)).softmax(-1)  # BS, h, T
    pooled = torch.bmm(weights, points).transpose(0, 1)  # h, BS, C
    value_weight = value_weight.view(num_heads, -1, channels).transpose(1, 2)
    out = torch.bmm(pooled, value_weight).transpose(0, 1).flatten(1)
    if projections.key_value_bias is not None:
        out = out + projections.key_value_bias[channels:]
    return out.unflatten(0, query.shape[:2])


def trajectory_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    num_frames: int,
    num_heads: int,
    scale: float,
    dropout_p: float = 0.0,
) -> Tensor:
    """Trajectory attention that keeps no maps; equals `trajectory_attention_eager`.

    Args:
        query, key, value: projected tokens (B, T * n, C), frame by frame.
        projections: weights of the second step (Eq. 3).
        num_frames: T.
        num_heads: h; 1 is the paper's.
        scale: factor on both steps' scores; 1 is the paper's, d ** -0.5 the release's.
        dropout_p: dropout on the first step's attention weights.

    Returns:
        (B, T * n, C), before any output projection.
    """
    points = trace_trajectories(query, key, value, num_frames, num_heads, scale, dropout_p)
    return pool_trajectories(points, projections, num_heads, scale)


def trajectory_attention_eager(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    num_frames: int,
    num_heads: int,
    scale: float,
    dropout_p: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The equations as they stand, for tests and for pictures of the attention.

    Arguments as in `trajectory_attention`.

    Returns:
        out: (B, T * n, C).
        path_weights: (B, h, T * n, T, n), where each token looks in every frame (Eq. 2).
        time_weights: (B, h, T * n, T), how it weighs the frames (Eq. 4).
    """
    query, key, value = (_split_heads(x, num_heads) for x in (query, key, value))
    scores = (query @ key.transpose(-1, -2)) * scale
    path_weights = scores.unflatten(-1, (num_frames, -1)).softmax(-1)
    value_by_frame = value.unflatten(2, (num_frames, -1))
    points = torch.einsum(
        'bhsfn,bhfnd->bfshd', F.dropout(path_weights, dropout_p), value_by_frame
    ).flatten(-2)

    second_query = F.linear(_own_frame(points), projections.query_weight, projections.query_bias)
    second_query = _split_heads(second_query, num_heads) * scale
    projected = F.linear(points, projections.key_value_weight, projections.key_value_bias)
    second_key, second_value = projected.unflatten(-1, (2, num_heads, -1)).unbind(-3)
    time_weights = torch.einsum('bhsd,bfshd->bhsf', second_query, second_key).softmax(-1)
    out = torch.einsum('bhsf,bfshd->bshd', time_weights, second_value).flatten(-2)
    return out, path_weights, time_weights
