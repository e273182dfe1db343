"""Trajectory attention (Axial-VS Eq. 2-4 within a clip, Eq. 5-6 across clips).

A sequence has S = T * n tokens of C channels, ordered by frame, in h heads of d = C / h. Spatial
attention pools each frame into one trajectory token per query; temporal attention then pools the T
trajectory tokens.

Neither the S x S attention map nor the T trajectory tokens of all S queries are stored as a whole:
the sequences are processed in chunks, and each chunk is recomputed in backward.
"""

import importlib.util
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_TRITON_IS_INSTALLED = importlib.util.find_spec('triton') is not None

# Tokens and spatial weights per chunk on a CPU, sized to fit its cache.
_CPU_CHUNK_TOKENS = 480
_CPU_CHUNK_WEIGHTS = 2**20
# Elements of trajectory tokens per chunk on other devices.
_CHUNK_ELEMENTS = 2**26


class TrajectoryProjections(NamedTuple):
    """Projections of temporal attention (Eq. 3): weights (out, in), biases or None."""

    query_weight: Tensor  # (C, C)
    query_bias: Tensor | None
    key_value_weight: Tensor  # (2C, C): keys, then values
    key_value_bias: Tensor | None


class TrajectorySpec(NamedTuple):
    """Hyperparameters of trajectory attention."""

    num_frames: int  # T
    num_heads: int = 1  # h; 1 in the paper, 8 in the release
    scale: float = 1.0  # of the scores in both steps; 1 in the paper, d ** -0.5 in the release
    dropout_p: float = 0.0  # dropout on the spatial attention weights


def trajectory_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    spec: TrajectorySpec,
) -> Tensor:
    """Compute trajectory attention with the fastest implementation for the inputs.

    Equivalent to `trajectory_attention_eager`, but returns no attention maps.

    Args:
        query: projected tokens (B, T * m, C), ordered by frame; m may differ from n.
        key, value: projected tokens (B, T * n, C).
        projections: weights of temporal attention.
        spec: numbers of frames and heads, scale, dropout.

    Returns:
        (B, T * m, C), before any output projection.
    """
    if query.is_cuda and _TRITON_IS_INSTALLED:
        from axialvs.functional.trajectory_attention_triton import (
            trajectory_attention_triton,
            triton_supports,
        )

        if triton_supports(query, spec.num_heads, spec.dropout_p):
            return trajectory_attention_triton(query, key, value, projections, *spec[:3])
    return chunked_trajectory_attention(query, key, value, projections, spec)


def trajectory_attention_eager(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    spec: TrajectorySpec,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the equations directly, for tests and for visualizing the attention.

    Args:
        query, key, value, projections, spec: see `trajectory_attention`.

    Returns:
        out: (B, T * m, C).
        spatial_weights: (B, h, T * m, T, n), attention to the tokens of every frame (Eq. 2).
        temporal_weights: (B, h, T * m, T), attention to the trajectory tokens (Eq. 4).
    """
    num_frames, num_heads, scale, dropout_p = spec
    query, key, value = (split_heads(x, num_heads) for x in (query, key, value))
    scores = (query @ key.transpose(-1, -2)) * scale
    spatial_weights = scores.unflatten(-1, (num_frames, -1)).softmax(-1)
    value_by_frame = value.unflatten(2, (num_frames, -1))
    tokens = torch.einsum(
        'bhsfn,bhfnd->bsfhd', F.dropout(spatial_weights, dropout_p), value_by_frame
    ).flatten(-2)

    own = diagonal(tokens.unflatten(1, (num_frames, -1)))
    query = F.linear(own, projections.query_weight, projections.query_bias)
    query = split_heads(query, num_heads) * scale
    key_value = F.linear(tokens, projections.key_value_weight, projections.key_value_bias)
    key, value = key_value.unflatten(-1, (2, num_heads, -1)).unbind(-3)
    temporal_weights = torch.einsum('bhsd,bsfhd->bhsf', query, key).softmax(-1)
    out = torch.einsum('bhsf,bsfhd->bshd', temporal_weights, value).flatten(-2)
    return out, spatial_weights, temporal_weights


def chunked_trajectory_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    spec: TrajectorySpec,
) -> Tensor:
    """Compute trajectory attention chunk by chunk, and recompute each chunk in backward.

    Arguments and result are those of `trajectory_attention`.
    """
    recompute = _needs_gradient(query, key, value, *projections)
    lines, frames, tokens = _chunk_size(query, key, spec)

    def attend(query: Tensor, key: Tensor, value: Tensor, first_frame: int) -> Tensor:
        if not recompute:
            return _attend(query, key, value, projections, spec, first_frame)
        return checkpoint(
            *(_attend, query, key, value, projections, spec, first_frame),
            use_reentrant=False,
            preserve_rng_state=spec.dropout_p > 0,
        )

    out = [
        _cat(
            [
                _cat([attend(x, k, v, i * frames) for x in chunk.split(tokens, 2)], 2)
                for i, chunk in enumerate(q.split(frames, 1))
            ],
            1,
        )
        for q, k, v in zip(
            query.unflatten(1, (spec.num_frames, -1)).split(lines),
            key.split(lines),
            value.split(lines),
            strict=True,
        )
    ]
    return _cat(out, 0).flatten(1, 2)


def _cat(tensors: list[Tensor], dim: int) -> Tensor:
    """Concatenate, but return a single tensor without a copy."""
    return torch.cat(tensors, dim) if len(tensors) > 1 else tensors[0]


def _needs_gradient(*inputs: Tensor | None) -> bool:
    """Return whether to recompute in backward; compilers have their own partitioner for this."""
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return False
    return any(x is not None and x.requires_grad for x in inputs)


def _chunk_size(query: Tensor, key: Tensor, spec: TrajectorySpec) -> tuple[int, int, int]:
    """Return the lines, frames and tokens per frame of a chunk.

    All tokens of a line attend to the same keys, so a line is only split if it exceeds a chunk, and
    its frames only if one token per frame still exceeds it.
    """
    batch, length, channels = query.shape
    num_frames = spec.num_frames
    if query.device.type == 'cpu':
        limit = min(_CPU_CHUNK_TOKENS, _CPU_CHUNK_WEIGHTS // (spec.num_heads * key.shape[1]))
    else:
        limit = _CHUNK_ELEMENTS // (num_frames * channels)
    limit = max(1, limit)
    tokens = length // num_frames
    if limit >= length:
        return min(batch, limit // length), num_frames, tokens
    return 1, min(num_frames, limit), min(tokens, max(1, limit // num_frames))


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    spec: TrajectorySpec,
    first_frame: int,
) -> Tensor:
    """Apply both steps to some tokens of consecutive frames.

    Args:
        query: (b, f, m, C).
        key, value: (b, T * n, C).
        projections, spec: see `trajectory_attention`.
        first_frame: index of the first of the f frames.

    Returns:
        (b, f, m, C).
    """
    tokens = spatial_attention(query.flatten(1, 2), key, value, spec)
    own = diagonal(tokens.unflatten(1, query.shape[1:3]), first_frame)
    return temporal_attention(tokens, own, projections, spec).view_as(query)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Reshape (B, S, C) to (B, h, S, d)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def diagonal(tokens: Tensor, first_frame: int = 0) -> Tensor:
    """Select the trajectory token of each token's own frame.

    Args:
        tokens: trajectory tokens (b, f, m, T, C) of m tokens in each of f consecutive frames.
        first_frame: index of the first of the f frames.

    Returns:
        (b, f * m, C).
    """
    return tokens.diagonal(first_frame, dim1=1, dim2=3).movedim(-1, 1).flatten(1, 2)


def spatial_attention(query: Tensor, key: Tensor, value: Tensor, spec: TrajectorySpec) -> Tensor:
    """Attend to the tokens of each frame separately (Eq. 2).

    Args:
        query: (B, S, C).
        key, value: (B, T * n, C).
        spec: see `trajectory_attention`.

    Returns:
        Trajectory tokens (B, S, T, C), one per query and frame.
    """
    num_frames, num_heads, scale, dropout_p = spec
    query, key, value = (split_heads(x, num_heads) for x in (query, key, value))
    if query.device.type != 'cpu':
        return _spatial_attention_sdpa(query, key, value, spec)
    # Scores are (keys, queries): on a CPU, softmax over columns is up to ten times faster than over
    # rows as short as a line. The two products take half the time of the fused SDPA kernel.
    query, key, value = (x.flatten(0, 1).contiguous() for x in (query, key, value))
    scores = torch.bmm(key, (query * scale).transpose(1, 2))
    weights = F.dropout(scores.unflatten(1, (num_frames, -1)).softmax(2), dropout_p)
    value = value.unflatten(1, (num_frames, -1)).flatten(0, 1)
    tokens = torch.bmm(weights.flatten(0, 1).transpose(1, 2), value)
    return tokens.unflatten(0, (-1, num_heads, num_frames)).permute(0, 3, 2, 1, 4).flatten(3)


def _spatial_attention_sdpa(
    query: Tensor, key: Tensor, value: Tensor, spec: TrajectorySpec
) -> Tensor:
    """Attend from (B, h, S, d) to (B, h, T * n, d) per frame without storing the weights."""
    frames = zip(key.chunk(spec.num_frames, 2), value.chunk(spec.num_frames, 2), strict=True)
    tokens = [
        F.scaled_dot_product_attention(query, k, v, dropout_p=spec.dropout_p, scale=spec.scale)
        for k, v in frames
    ]
    return torch.stack([x.transpose(1, 2).flatten(2) for x in tokens], dim=2)


def temporal_attention(
    tokens: Tensor, own: Tensor, projections: TrajectoryProjections, spec: TrajectorySpec
) -> Tensor:
    """Attend along each trajectory (Eq. 3-4).

    Args:
        tokens: trajectory tokens (B, S, T, C).
        own: trajectory token of each query's own frame, (B, S, C).
        projections, spec: see `trajectory_attention`.

    Returns:
        (B, S, C).
    """
    query = F.linear(own, projections.query_weight, projections.query_bias)
    query = query.flatten(0, 1).unflatten(-1, (spec.num_heads, -1)) * spec.scale
    # For two frames, the small products of `_attend_absorbed` cost more than they save.
    attend = _attend_two_frames if spec.num_frames == 2 else _attend_absorbed
    return attend(query, tokens.flatten(0, 1), projections).unflatten(0, own.shape[:2])


def _attend_two_frames(query: Tensor, tokens: Tensor, projections: TrajectoryProjections) -> Tensor:
    """Attend over T = 2 frames: the softmax of two scores is the sigmoid of their difference.

    Args:
        query: (S, h, d), scaled.
        tokens: (S, 2, C).
        projections: see `trajectory_attention`.

    Returns:
        (S, C).
    """
    channels = tokens.shape[-1]
    value_weight, bias = projections.key_value_weight[channels:], projections.key_value_bias
    first = tokens[:, 0]
    change = F.linear(tokens[:, 1] - first, projections.key_value_weight)
    key_change, value_change = change.unflatten(-1, (2, *query.shape[1:])).unbind(1)
    second_weight = (query * key_change).sum(-1, keepdim=True).sigmoid()  # S, h, 1
    second_weight = second_weight.to(query.dtype)  # autocast on CUDA sums in float32
    first = F.linear(first, value_weight, None if bias is None else bias[channels:])
    return torch.addcmul(first.view_as(query), value_change, second_weight).flatten(1)


def _attend_absorbed(query: Tensor, tokens: Tensor, projections: TrajectoryProjections) -> Tensor:
    """Attend over time with the key projection absorbed into the query.

    The value projection is applied after the weighted sum. The key bias adds the same constant to
    all scores of a token and cancels in the softmax; the weights sum to one, so the value bias is
    added once.

    Args:
        query: (S, h, d), scaled.
        tokens: (S, T, C).
        projections: see `trajectory_attention`.

    Returns:
        (S, C).
    """
    channels, num_heads = tokens.shape[-1], query.shape[1]
    key_weight, value_weight = (
        x.view(num_heads, -1, channels) for x in projections.key_value_weight.chunk(2)
    )
    absorbed = torch.bmm(query.transpose(0, 1), key_weight).transpose(0, 1)  # S, h, C
    weights = torch.bmm(absorbed, tokens.transpose(1, 2)).softmax(-1)  # S, h, T
    del absorbed  # as large as the next result
    averaged = torch.bmm(weights, tokens).transpose(0, 1)  # h, S, C
    out = torch.bmm(averaged, value_weight.transpose(1, 2)).transpose(0, 1).flatten(1)
    if projections.key_value_bias is not None:
        # Under autocast the products are in half precision.
        out = out + projections.key_value_bias[channels:].to(out.dtype)
    return out
