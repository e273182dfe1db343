"""The first step of trajectory attention (Eq. 2) and its gradients, on a CPU and by hand.

Here `by heads` means (b * h, tokens, d): lines and heads in one dimension, so that one call does
all of their products. A map (b * h, T, n, s) says where each of s tokens looks in every frame; its
tokens come last because a softmax down columns is never slower than one along rows as short as a
line, and up to ten times faster.
"""

import torch
from torch import Tensor


def by_heads(x: Tensor, num_heads: int) -> Tensor:
    """(b, ..., C) -> (b * h, tokens, d), contiguous."""
    heads = x.reshape(len(x), -1, num_heads, x.shape[-1] // num_heads).transpose(1, 2)
    return heads.flatten(0, 1).contiguous()  # with one line, flattening alone copies nothing


def from_heads(x: Tensor, num_heads: int) -> Tensor:
    """(b * h, s, ...) -> (b, s, h, ...), a view."""
    return x.unflatten(0, (-1, num_heads)).transpose(1, 2)


def attention_map(query: Tensor, key: Tensor, num_frames: int) -> Tensor:
    """Softmax over the tokens of every frame, all frames in one product.

    Args:
        query: by heads, scaled, (b * h, s, d).
        key: by heads, (b * h, T * n, d).
        num_frames: T.

    Returns:
        (b * h, T, n, s).
    """
    return torch.bmm(key, query.transpose(1, 2)).unflatten(1, (num_frames, -1)).softmax(2)


def trace(path_weights: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Where each token lies in every frame.

    Args:
        path_weights: (b * h, T, n, s).
        value: by heads and frames, (b * h, T, n, d).
        num_heads: h.

    Returns:
        (b, s, T, h, d).
    """
    found = torch.bmm(path_weights.flatten(0, 1).transpose(1, 2), value.flatten(0, 1))
    found = found.unflatten(0, (-1, num_heads, path_weights.shape[1]))
    return found.permute(0, 3, 2, 1, 4).contiguous()


def points_by_heads(points: Tensor) -> Tensor:
    """Trajectory points or their gradients (b, s, T, h, d) -> (b * h * T, s, d), a copy."""
    return points.permute(0, 3, 2, 1, 4).flatten(0, 2)


def mean_gradient(points: Tensor, grad_points: Tensor) -> Tensor:
    """Mean of a map's gradients, weighted by the map.

    The softmax's gradient is P * (dP - sum(P * dP)), and that sum over the tokens of a frame is
    the product of a point with its gradient: no pass over the map.

    Args:
        points, grad_points: (b, s, T, h, d).

    Returns:
        (b * h * T, 1, s).
    """
    return (grad_points * points).sum(-1).permute(0, 3, 2, 1).flatten(0, 2).unsqueeze(1)


def trace_backward(
    path_weights: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    gradient: Tensor,
    mean: Tensor,
    grad_key: Tensor,
    grad_value: Tensor,
) -> Tensor:
    """Gradients of `attention_map` and `trace`.

    Args:
        path_weights: (b * h, T, n, s); overwritten.
        query, key, value: as in `attention_map` and `trace`.
        gradient: of the points, as of `points_by_heads`.
        mean: of `mean_gradient`.
        grad_key, grad_value: in the shapes of key and value; added to.

    Returns:
        Gradient of the scaled query, (b * h, s, d).
    """
    by_frames = path_weights.flatten(0, 1)
    grad_value.flatten(0, 1).baddbmm_(by_frames, gradient)
    by_frames *= torch.bmm(value.flatten(0, 1), gradient.transpose(1, 2)).sub_(mean)
    grad_scores = path_weights.flatten(1, 2)
    grad_key.baddbmm_(grad_scores, query)
    return torch.bmm(grad_scores.transpose(1, 2), key)
