"""The two steps of trajectory attention on tensors, without the maps.

Source: Axial-VS Eq. 2-4. Letters as in `trajectory_attention`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class TrajectoryProjections(NamedTuple):
    """Projections of the second step (Eq. 3): weights (out, in), biases or None."""

    query_weight: Tensor  # (C, C)
    query_bias: Tensor | None
    key_value_weight: Tensor  # (2C, C): keys, then values
    key_value_bias: Tensor | None


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, S, C) -> (B, h, S, d)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def own_frame(points: Tensor) -> Tensor:
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
    query = split_heads(query, num_heads)
    points = [
        _attend(
            query, split_heads(keys, num_heads), split_heads(values, num_heads), scale, dropout_p
        )
        .transpose(1, 2)
        .flatten(2)  # no copy of what a fused kernel gives
        for keys, values in zip(key.chunk(num_frames, 1), value.chunk(num_frames, 1), strict=True)
    ]
    return torch.stack(points, dim=2)


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
    query = F.linear(own_frame(points), projections.query_weight, projections.query_bias)
    query = query.unflatten(-1, (num_heads, -1)) * scale
    # Measured: with two frames the absorbed form's small products cost more than they spare.
    pool = _pool_pair if points.shape[2] == 2 else _pool_absorbed
    pooled = pool(query.flatten(0, 1), points.flatten(0, 1), projections)
    return pooled.unflatten(0, points.shape[:2])


def _pool_pair(query: Tensor, points: Tensor, projections: TrajectoryProjections) -> Tensor:
    """Two frames: a softmax over two scores needs their difference only, so half of the keys.

    Args:
        query: (S, h, d).
        points: (S, 2, C).
        projections: weights of Eq. 3.

    Returns:
        (S, C).
    """
    channels, num_heads = points.shape[-1], query.shape[1]
    key_weight, value_weight = projections.key_value_weight.chunk(2)
    bias = projections.key_value_bias
    key_change = F.linear(points[:, 1] - points[:, 0], key_weight).view_as(query)
    second_weight = (query * key_change).sum(-1, keepdim=True).sigmoid()  # S, h, 1
    second_weight = second_weight.to(query.dtype)  # CUDA's autocast sums in float32
    values = F.linear(points, value_weight, None if bias is None else bias[channels:])
    first, second = values.unflatten(-1, (num_heads, -1)).unbind(1)
    return first.lerp(second, second_weight).flatten(1)


def _pool_absorbed(query: Tensor, points: Tensor, projections: TrajectoryProjections) -> Tensor:
    """The same with the key projection moved to the query, the value projection behind the sum.

    The key bias adds the same number to every score of a token and cancels in the softmax; the
    weights of the sum add up to one, so the value bias is added once. Arguments as in `_pool_pair`,
    with points (S, T, C).
    """
    channels, num_heads = points.shape[-1], query.shape[1]
    key_weight, value_weight = (
        x.view(num_heads, -1, channels) for x in projections.key_value_weight.chunk(2)
    )
    absorbed = torch.bmm(query.transpose(0, 1), key_weight).transpose(0, 1)  # S, h, C
    weights = torch.bmm(absorbed, points.transpose(1, 2)).softmax(-1)  # S, h, T
    del absorbed  # as large as what comes next
    pooled = torch.bmm(weights, points).transpose(0, 1)  # h, S, C
    out = torch.bmm(pooled, value_weight.transpose(1, 2)).transpose(0, 1).flatten(1)
    if projections.key_value_bias is not None:
        # Under autocast products are in half precision, and so is what a linear layer adds to them.
        out = out + projections.key_value_bias[channels:].to(out.dtype)
    return out
