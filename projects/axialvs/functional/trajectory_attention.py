"""Trajectory attention of tensors: a fast form and the literal equations, equal in value.

Source: Axial-VS Eq. 2-4 (within a clip, along one axis) and Eq. 5-6 (clip queries across clips).
In the letters used here a sequence has S = T * n tokens, frame by frame, of C channels in h heads
of d = C / h.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from axialvs.functional.trajectory_pieces import attend_in_pieces
from axialvs.functional.trajectory_steps import (
    TrajectoryProjections,
    own_frame,
    pool_trajectories,
    split_heads,
    trace_trajectories,
)

__all__ = [
    'TrajectoryProjections',
    'pool_trajectories',
    'trace_trajectories',
    'trajectory_attention',
    'trajectory_attention_eager',
]


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
    return attend_in_pieces(query, key, value, projections, num_frames, num_heads, scale, dropout_p)


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
    query, key, value = (split_heads(x, num_heads) for x in (query, key, value))
    scores = (query @ key.transpose(-1, -2)) * scale
    path_weights = scores.unflatten(-1, (num_frames, -1)).softmax(-1)
    value_by_frame = value.unflatten(2, (num_frames, -1))
    points = torch.einsum(
        'bhsfn,bhfnd->bsfhd', F.dropout(path_weights, dropout_p), value_by_frame
    ).flatten(-2)

    second_query = F.linear(own_frame(points), projections.query_weight, projections.query_bias)
    second_query = split_heads(second_query, num_heads) * scale
    projected = F.linear(points, projections.key_value_weight, projections.key_value_bias)
    second_key, second_value = projected.unflatten(-1, (2, num_heads, -1)).unbind(-3)
    time_weights = torch.einsum('bhsd,bsfhd->bhsf', second_query, second_key).softmax(-1)
    out = torch.einsum('bhsf,bsfhd->bshd', time_weights, second_value).flatten(-2)
    return out, path_weights, time_weights
