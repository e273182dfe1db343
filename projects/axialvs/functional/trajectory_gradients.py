"""Trajectory attention on a CPU with its gradients by hand: cache-sized pieces, no graph.

For the backward pass are kept, of each token, its second query and its weights in time; maps and
trajectory points are computed anew, piece by piece.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from axialvs.functional.trajectory_by_heads import (
    attention_map,
    by_heads,
    from_heads,
    mean_gradient,
    points_by_heads,
    trace,
    trace_backward,
)
from axialvs.functional.trajectory_pooling import Gradients, pooling
from axialvs.functional.trajectory_steps import TrajectoryProjections

# What is worked on at once, measured: small enough for the cache, large enough for the calls.
_TOKENS_AT_ONCE = 240
_MAP_AT_ONCE = 2**20  # weights of the first step


def attend_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    num_frames: int,
    num_heads: int,
    scale: float,
    keep: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Both steps; arguments as in `trajectory_attention`, on a CPU and of one type.

    Returns:
        (B, T * n, C), and if `keep` what the backward pass needs, (B, T, n, ...) each.
    """
    form = pooling(projections, num_frames, num_heads, scale)
    by_frame = query.unflatten(1, (num_frames, -1))
    results: list[Tensor] = []
    for lines, parts in _pieces(query, key, num_frames, num_heads):
        keys = by_heads(key[lines], num_heads)
        values = by_heads(value[lines], num_heads).unflatten(1, (num_frames, -1))
        for frames, tokens in parts:
            some = by_frame[lines, frames, tokens]
            queries = by_heads(some, num_heads) * scale
            points = trace(attention_map(queries, keys, num_frames), values, num_heads)
            points = points.flatten(3).flatten(0, 1)
            own = _own(points, some.shape, frames.start)
            out, kept = form.forward(points, own.reshape(len(points), -1))
            del points, own
            for i, part in enumerate((out, *kept) if keep else (out,)):
                part = part.unflatten(0, some.shape[:3])
                if i == len(results):
                    results.append(part.new_empty((*by_frame.shape[:3], *part.shape[3:])))
                results[i][lines, frames, tokens] = part
    return results[0].flatten(1, 2), results[1:]


def attend_backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    kept: list[Tensor],
    grad_out: Tensor,
    num_frames: int,
    num_heads: int,
    scale: float,
) -> tuple[Tensor | None, ...]:
    """Gradients of query, key, value and the four projections.

    Arguments as in `attend_forward`; `kept` is what it returned, `grad_out` (B, T * n, C).
    """
    form = pooling(projections, num_frames, num_heads, scale)
    gradients = Gradients.zeros(projections)
    pieces = _pieces(query, key, num_frames, num_heads)
    query, grad_out = (x.unflatten(1, (num_frames, -1)) for x in (query, grad_out))
    grad_query = query.new_empty(query.shape)
    grad_key, grad_value = (x.new_empty(x.shape) for x in (key, value))
    for lines, parts in pieces:
        keys = by_heads(key[lines], num_heads)
        values = by_heads(value[lines], num_heads).unflatten(1, (num_frames, -1))
        grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
        for frames, tokens in parts:
            some = query[lines, frames, tokens]
            queries = by_heads(some, num_heads) * scale
            path_weights = attention_map(queries, keys, num_frames)
            traced = trace(path_weights, values, num_heads)
            points = traced.flatten(3).flatten(0, 1)
            grad_points, grad_own = form.backward(
                points,
                _own(points, some.shape, frames.start).reshape(len(points), -1),
                [x[lines, frames, tokens].flatten(0, 2) for x in kept],
                grad_out[lines, frames, tokens].reshape(len(points), -1),
                gradients,
            )
            _own(grad_points, some.shape, frames.start).add_(grad_own.view(some.shape))
            grad_traced = grad_points.view(traced.shape)
            mean, gradient = mean_gradient(traced, grad_traced), points_by_heads(grad_traced)
            # What the backward pass needs at once decides how large a piece may be.
            del traced, points, grad_traced, grad_points, grad_own
            of_queries = trace_backward(
                path_weights, queries, keys, values, gradient, mean, grad_keys, grad_values
            )
            torch.mul(
                from_heads(of_queries, num_heads).unflatten(1, some.shape[1:3]),
                scale,
                out=grad_query[lines, frames, tokens].unflatten(-1, (num_heads, -1)),
            )
        for total, part in ((grad_key, grad_keys), (grad_value, grad_values.flatten(1, 2))):
            total[lines].unflatten(-1, (num_heads, -1)).copy_(from_heads(part, num_heads))
    return grad_query.flatten(1, 2), grad_key, grad_value, *_as_given(gradients, projections)


def _as_given(
    gradients: Gradients, projections: TrajectoryProjections
) -> tuple[Tensor | None, ...]:
    """Gradients of the projections in their order, None where there is no bias."""
    query_bias = key_value_bias = None
    if projections.query_bias is not None:
        query_bias = gradients.query_bias
    if projections.key_value_bias is not None:
        of_values = gradients.value_bias
        key_value_bias = torch.cat((torch.zeros_like(of_values), of_values))
    return gradients.query_weight, query_bias, gradients.key_value_weight, key_value_bias


def _own(points: Tensor, shape: torch.Size, first_frame: int) -> Tensor:
    """Those in the tokens' own frames, a view.

    Args:
        points: (b * f * m, T, C), of the tokens of f frames in a row.
        shape: of the tokens, (b, f, m, C).
        first_frame: the number of the first of these frames.
    """
    by_frame = points.view(*shape[:3], *points.shape[1:])
    return by_frame.diagonal(first_frame, dim1=1, dim2=3).permute(0, 3, 1, 2)


def _pieces(
    query: Tensor, key: Tensor, num_frames: int, num_heads: int
) -> Iterator[tuple[slice, list[tuple[slice, slice]]]]:
    """Lines that are worked on together, and in which parts: some frames, some tokens of each.

    Queries may be fewer than keys: the offline refinement takes a few of each clip at a time.
    Tokens of one line look at the same keys, so a line is cut only where it alone is too long, and
    its frames are parted only where one token of each is too much.
    """
    batch, length, _ = query.shape
    tokens = length // num_frames
    at_once = max(1, min(_TOKENS_AT_ONCE, _MAP_AT_ONCE // (num_heads * key.shape[1])))
    lines = max(1, at_once // length)
    if lines > 1:
        parts = [(slice(0, num_frames), slice(0, tokens))]
    else:
        parts = [
            (frames, some)
            for frames in _slices(num_frames, at_once)
            for some in _slices(tokens, max(1, at_once // num_frames))
        ]
    for line in _slices(batch, lines):
        yield line, parts


def _slices(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
