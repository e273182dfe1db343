"""How trajectory attention is run: with gradients by hand, or by computing pieces anew.

Nothing between the steps outlives its piece, in the forward pass or for the backward pass.
"""

import torch
from torch import Tensor

from axialvs.functional.trajectory_gradients import attend_backward, attend_forward
from axialvs.functional.trajectory_steps import (
    TrajectoryProjections,
    pool_trajectories,
    trace_trajectories,
)

# Trajectory points (tokens times frames) worked on at once on a CPU: what lies between the steps
# stays in its cache, and little of it exists at a time.
_POINTS_AT_ONCE = 1280


def attend_in_pieces(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    *numbers: float,
) -> Tensor:
    """Both steps; arguments and result as in `trajectory_attention`."""
    inputs = (query, key, value, *projections)
    by_hand = _can_go_by_hand(*inputs, dropout_p=numbers[-1])
    if _should_recompute(*inputs):
        if by_hand:
            return _ByHand.apply(*inputs, *numbers[:-1])
        return _Recomputed.apply(*inputs, *numbers)
    if by_hand:
        return attend_forward(query, key, value, projections, *numbers[:-1])[0]
    return _attend_all(*inputs, *numbers)


def _can_go_by_hand(*inputs: Tensor | None, dropout_p: float) -> bool:
    """On a CPU, in full precision, without dropout: what the forms by hand were written for."""
    if torch.compiler.is_compiling() or dropout_p or torch.is_autocast_enabled('cpu'):
        return False
    dtype = inputs[0].dtype
    return dtype in (torch.float32, torch.float64) and all(
        x is None or (x.device.type == 'cpu' and x.dtype == dtype) for x in inputs
    )


def _should_recompute(*inputs: Tensor | None) -> bool:
    """Whether a backward pass will come whose memory nobody else looks after."""
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return False
    return any(x is not None and x.requires_grad for x in inputs)


def _attend_once(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    num_frames: int,
    num_heads: int,
    scale: float,
    dropout_p: float,
) -> Tensor:
    """Both steps; arguments and result as in `trajectory_attention`."""
    points = trace_trajectories(query, key, value, num_frames, num_heads, scale, dropout_p)
    return pool_trajectories(points, projections, num_heads, scale)


def _pieces(query: Tensor, num_frames: int) -> list[tuple[slice, slice]]:
    """Which sequences, and which tokens of each frame, are worked on together.

    Tokens of one line look at the same keys, so a line is cut only where it alone is too long.
    """
    batch, length, _ = query.shape
    tokens = length // num_frames
    if query.device.type != 'cpu':
        return [(slice(0, batch), slice(0, tokens))]
    lines = max(1, _POINTS_AT_ONCE // (length * num_frames))
    at_once = min(tokens, max(1, _POINTS_AT_ONCE // num_frames**2))
    return [
        (slice(line, line + lines), slice(token, token + at_once))
        for line in range(0, batch, lines)
        for token in range(0, tokens, at_once)
    ]


def _attend_all(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *rest: Tensor | float | None,
) -> Tensor:
    """All pieces; `rest`: the projections one by one, then the numbers of `_attend_once`."""
    projections, numbers = TrajectoryProjections(*rest[:4]), rest[4:]
    num_frames = numbers[0]
    pieces = _pieces(query, num_frames)
    if len(pieces) == 1:
        return _attend_once(query, key, value, projections, *numbers)
    by_frame = query.unflatten(1, (num_frames, -1))
    out = None
    for lines, tokens in pieces:
        part = _attend_once(
            by_frame[lines, :, tokens].flatten(1, 2),
            key[lines],
            value[lines],
            projections,
            *numbers,
        )
        if out is None:
            out = part.new_empty(by_frame.shape)
        out[lines, :, tokens] = part.unflatten(1, (num_frames, -1))
    return out.flatten(1, 2)


class _ByHand(torch.autograd.Function):
    """`attend_forward` with `attend_backward`; it cannot be differentiated twice."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, *rest) -> Tensor:
        projections, ctx.numbers = TrajectoryProjections(*rest[:4]), rest[4:]
        out, kept = attend_forward(query, key, value, projections, *ctx.numbers, keep=True)
        ctx.save_for_backward(query, key, value, *projections, *kept)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *rest = ctx.saved_tensors
        projections, kept = TrajectoryProjections(*rest[:4]), rest[4:]
        gradients = attend_backward(query, key, value, projections, kept, grad_out, *ctx.numbers)
        return *gradients, *(None for _ in ctx.numbers)


class _Recomputed(torch.autograd.Function):
    """`_attend_all` whose backward pass computes each piece anew and keeps nothing of it."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, *rest) -> Tensor:
        ctx.numbers = rest[4:]
        ctx.save_for_backward(query, key, value, *rest[:4])
        device_type = query.device.type
        ctx.autocast = dict(
            device_type=device_type,
            dtype=torch.get_autocast_dtype(device_type),
            enabled=torch.is_autocast_enabled(device_type),
        )
        ctx.random_state = _random_state(query.device) if ctx.numbers[-1] else None
        return _attend_all(query, key, value, *rest)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        devices = [tensors[0].device] if tensors[0].is_cuda else []
        with (
            torch.random.fork_rng(devices, enabled=ctx.random_state is not None),
            torch.autocast(**ctx.autocast),
        ):
            if ctx.random_state is not None:
                _set_random_state(tensors[0].device, ctx.random_state)
            gradients = _gradients(tensors, ctx.numbers, ctx.needs_input_grad[:7], grad_out)
        return *gradients, *(None for _ in ctx.numbers)


def _gradients(
    tensors: tuple[Tensor | None, ...],
    numbers: tuple,
    wanted: tuple[bool, ...],
    grad_out: Tensor,
) -> list[Tensor | None]:
    """Gradients of query, key, value and the four projections, piece by piece."""
    query, num_frames = tensors[0], numbers[0]
    sums = [
        torch.zeros_like(x) if x is not None and want else None
        for x, want in zip(tensors, wanted, strict=True)
    ]
    grad_out = grad_out.unflatten(1, (num_frames, -1))
    for lines, tokens in _pieces(query, num_frames):

        def cut(sequences: list, lines=lines, tokens=tokens) -> list:
            query, key, value, *projections = sequences
            return [
                None if query is None else query.unflatten(1, (num_frames, -1))[lines, :, tokens],
                *(None if x is None else x[lines] for x in (key, value)),
                *projections,
            ]

        with torch.enable_grad():
            leaves = [
                None if x is None else x.detach().requires_grad_(want)
                for x, want in zip(cut(tensors), wanted, strict=True)
            ]
            query, key, value, *projections = leaves
            out = _attend_once(
                query.flatten(1, 2), key, value, TrajectoryProjections(*projections), *numbers
            )
        pairs = [
            (leaf, total)
            for leaf, total in zip(leaves, cut(sums), strict=True)
            if total is not None
        ]
        found = torch.autograd.grad(
            out, [leaf for leaf, _ in pairs], grad_out[lines, :, tokens].flatten(1, 2)
        )
        for (_, total), gradient in zip(pairs, found, strict=True):
            total += gradient
    return sums


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == 'cuda' else torch.get_rng_state()


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == 'cuda':
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
