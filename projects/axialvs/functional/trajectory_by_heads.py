"""The first step of trajectory attention (Eq. 2) and its gradients, on a CPU and by hand.

Here `by heads` means (b * h, tokens, d): lines and heads in one dimension, so that one call does
all of their products. A map (b * h, s, T, n) says where each of s tokens looks in every frame.
"""

import torch
from torch import Tensor


def by_heads(x: Tensor, num_heads: int) -> Tensor:
    """(b, ..., C) -> (b * h, tokens, d), contiguous."""
    return x.reshape(len(x), -1, num_heads, x.shape[-1] // num_heads).transpose(1, 2).flatten(0, 1)


def from_heads(x: Tensor, num_heads: int) -> Tensor:
    """(b * h, s, ...) -> (b, s, h, ...), a view."""
    return x.unflatten(0, (-1, num_heads)).transpose(1, 2)


def attention_map(query: Tensor, key: Tensor, num_frames: int) -> Tensor:
    """Softmax within every frame, all frames in one product.

    Args:
        query: by heads, scaled, (b * h, s, d).
        key: by heads, (b * h, T * n, d).
        num_frames: T.

    Returns:
        (b * h, s, T, n).
    """
    return torch.bmm(query, key.transpose(1, 2)).unflatten(-1, (num_frames, -1)).softmax(-1)


def trace(path_weights: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Where each token lies in every frame.

    Args:
        path_weights: (b * h, s, T, n).
        value: by heads and frames, (b * h, T, n, d).
        num_heads: h.

    Returns:
        (b, s, T, h, d).
    """
    rows, length, num_frames, _ = path_weights.shape
    points = value.new_empty(rows // num_heads, length, num_frames, num_heads, value.shape[-1])
    for frame in range(num_frames):
        found = torch.bmm(path_weights[:, :, frame], value[:, frame])
        points[:, :, frame] = from_heads(found, num_heads)
    return points


def trace_backward(
    path_weights: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    points: Tensor,
    grad_points: Tensor,
    grad_key: Tensor,
    grad_value: Tensor,
) -> Tensor:
    """Gradients of `attention_map` and `trace`.

    The softmax's gradient is P * (dP - sum(P * dP)), and that sum over the tokens of a frame is
    the product of a point with its gradient: no pass over the map.

    Args:
        path_weights: (b * h, s, T, n); overwritten.
        query, key, value: as in `attention_map` and `trace`.
        points, grad_points: (b, s, T, h, d).
        grad_key, grad_value: in the shapes of key and value; added to.

    Returns:
        Gradient of the scaled query, (b * h, s, d).
    """
    num_heads = points.shape[3]
    for frame in range(points.shape[2]):
        weights, gradient = path_weights[:, :, frame], grad_points[:, :, frame]
        mean = (gradient * points[:, :, frame]).sum(-1).transpose(1, 2).flatten(0, 1)
        gradient = by_heads(gradient.flatten(2), num_heads)
        grad_value[:, frame] += torch.bmm(weights.transpose(1, 2), gradient)
        grad_weights = torch.bmm(gradient, value[:, frame].transpose(1, 2))
        weights *= grad_weights.sub_(mean.unsqueeze(-1))
    grad_scores = path_weights.flatten(2)
    grad_key.baddbmm_(grad_scores.transpose(1, 2), query)
    return torch.bmm(grad_scores, key)
