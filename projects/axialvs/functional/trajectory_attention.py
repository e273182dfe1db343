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
# than projecting every trajectory point: 2 C^2 + 2 h C T against 2 C^2 T + 2 C T multiplications
# a token.
_MIN_FRAMES_TO_ABSORB = 3

# Tokens worked on at once on a CPU, so that what lies between the steps stays in its cache.
_TOKENS_AT_ONCE = 1024


class TrajectoryProjections(NamedTuple):
    """Projections of the second step (Eq. 3): weights (out, in), biases or None."""

    query_weight: Tensor  # (C, C)
    query_bias: Tensor | None
    key_value_weight: Tensor  # (2C, C): keys, then values
    key_value_bias: Tensor | None


def _split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, S, C) -> (B, h, S, d)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _own_frame(points: Tensor) -> Tensor:
    """The trajectory point in each token's own frame: (B, S, T, C) -> (B, S, C)."""
    by_frame = points.unflatten(1, (points.shape[2], -1))  # B, T own, n, T target, C
    return by_frame.diagonal(dim1=1, dim2=3).movedim(-1, 1).flatten(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float, dropout_p: float) -> Tensor:
    """Attention of (B, h, S, d) to the n tokens of one frame (B, h, n, d)."""
    if query.device.type != 'cpu':
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout_p, scale=scale)
    # Two plain products take half the time of the fused kernel where lines are this short.
    weights = ((query * scale) @ key.transpose(-1, -2)).softmax(-1)
    return F.dropout(weights, dropout_p) @ value


def trace_trajectories(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_frames: int,
    num_heads: int,
    scale: float,
    dropout_p: float = 0.0,
) -> Tensor:
    """Where each token lies in every frame (Eq. 2): attention to one frame after the other.

    The (T n, T n) map is never stored.

    Args:
        query, key, value: (B, T * n, C).
        num_frames: T.
        num_heads: h.
        scale: factor on the scores.
        dropout_p: dropout on the attention weights.

    Returns:
        Trajectory points (B, T * n, T, C): of each token in each frame.
    """
    query = _split_heads(query, num_heads)
    points = [
        _attend(
            query, _split_heads(keys, num_heads), _split_heads(values, num_heads), scale, dropout_p
        )
        for keys, values in zip(key.chunk(num_frames, 1), value.chunk(num_frames, 1), strict=True)
    ]
    return torch.stack(points, dim=3).permute(0, 2, 3, 1, 4).flatten(-2)


def pool_trajectories(
    points: Tensor, projections: TrajectoryProjections, num_heads: int, scale: float
) -> Tensor:
    """Attention over time along each trajectory (Eq. 3-4).

    Args:
        points: trajectory points (B, S, T, C) of `trace_trajectories`.
        projections: weights of Eq. 3.
        num_heads: h.
        scale: factor on the scores.

    Returns:
        (B, S, C).
    """
    query = F.linear(_own_frame(points), projections.query_weight, projections.query_bias)
    query = query.unflatten(-1, (num_heads, -1)) * scale
    pool = _pool_absorbed if points.shape[2] >= _MIN_FRAMES_TO_ABSORB else _pool_projected
    pooled = pool(query.flatten(0, 1), points.flatten(0, 1), projections)
    return pooled.unflatten(0, points.shape[:2])


def _pool_projected(query: Tensor, points: Tensor, projections: TrajectoryProjections) -> Tensor:
    """Every point is projected to a key and a value, as written.

    Args:
        query: (S, h, d).
        points: (S, T, C).
        projections: weights of Eq. 3.

    Returns:
        (S, C).
    """
    projected = F.linear(points, projections.key_value_weight, projections.key_value_bias)
    key, value = projected.unflatten(-1, (2, query.shape[1], -1)).unbind(2)  # (S, T, h, d) each
    weights = (query.unsqueeze(1) * key).sum(-1, keepdim=True).softmax(dim=1)
    return (weights * value).sum(1).flatten(-2)


def _pool_absorbed(query: Tensor, points: Tensor, projections: TrajectoryProjections) -> Tensor:
    """The same with the key projection moved to the query, the value projection behind the sum.

    The key bias adds the same number to every score of a token and cancels in the softmax; the
    weights of the sum add up to one, so the value bias is added once. Arguments as in
    `_pool_projected`.
    """
    channels, num_heads = points.shape[-1], query.shape[1]
    key_weight, value_weight = (
        x.view(num_heads, -1, channels) for x in projections.key_value_weight.chunk(2)
    )
    absorbed = torch.bmm(query.transpose(0, 1), key_weight).transpose(0, 1)  # S, h, C
    weights = torch.bmm(absorbed, points.transpose(1, 2)).softmax(-1)  # S, h, T
    pooled = torch.bmm(weights, points).transpose(0, 1)  # h, S, C
    out = torch.bmm(pooled, value_weight.transpose(1, 2)).transpose(0, 1).flatten(1)
    if projections.key_value_bias is not None:
        out = out + projections.key_value_bias[channels:]
    return out


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
    batch, tokens, _ = query.shape
    at_once = max(1, _TOKENS_AT_ONCE // tokens) if query.device.type == 'cpu' else batch
    parts = [
        pool_trajectories(
            trace_trajectories(*part, num_frames, num_heads, scale, dropout_p),
            projections,
            num_heads,
            scale,
        )
        for part in zip(*(x.split(at_once) for x in (query, key, value)), strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


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
        'bhsfn,bhfnd->bsfhd', F.dropout(path_weights, dropout_p), value_by_frame
    ).flatten(-2)

    second_query = F.linear(_own_frame(points), projections.query_weight, projections.query_bias)
    second_query = _split_heads(second_query, num_heads) * scale
    projected = F.linear(points, projections.key_value_weight, projections.key_value_bias)
    second_key, second_value = projected.unflatten(-1, (2, num_heads, -1)).unbind(-3)
    time_weights = torch.einsum('bhsd,bsfhd->bhsf', second_query, second_key).softmax(-1)
    out = torch.einsum('bhsf,bsfhd->bshd', time_weights, second_value).flatten(-2)
    return out, path_weights, time_weights
