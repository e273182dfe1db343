"""Trajectory attention on a GPU in a few fused kernels, as one operator that torch.compile keeps.

Source: Axial-VS Eq. 2-4. Letters as in `trajectory_attention`. Attention maps stay in registers and
trajectory points are held for some lines at a time; the backward pass recomputes both. Importing
this file needs Triton; with `TRITON_INTERPRET=1` it runs on a CPU, for tests.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from axialvs.functional.trajectory_launches import Launcher, Projections

if TYPE_CHECKING:
    from axialvs.functional.trajectory_attention import TrajectoryProjections

__all__ = ['trajectory_attention_triton', 'triton_supports']

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
HEAD_SIZES = (32, 64)
MAX_CHANNELS = 512  # a program holds all channels of its tokens in registers

# Trajectory points held at once, so that they stay in the cache between two kernels.
POINT_BYTES = 32 * 2**20
# The backward pass takes lines in at least two parts: points of all would be most of its memory.
BACKWARD_PARTS = 2


def triton_supports(query: Tensor, num_heads: int, dropout_p: float = 0.0) -> bool:
    """Whether `trajectory_attention_triton` takes this call; others go to the eager form.

    Args:
        query: (B, T * n, C).
        num_heads: h, a power of two.
        dropout_p: dropout on attention weights, which the kernels do not have.
    """
    channels = query.shape[-1]
    return (
        dropout_p == 0
        and query.dtype in DTYPES
        and num_heads & (num_heads - 1) == 0
        and channels % num_heads == 0
        and channels // num_heads in HEAD_SIZES
        and channels <= MAX_CHANNELS
        and query.numel() > 0
    )


def trajectory_attention_triton(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: 'TrajectoryProjections',
    num_frames: int,
    num_heads: int,
    scale: float,
) -> Tensor:
    """Fused trajectory attention, differentiable once; see `triton_supports`.

    Args:
        query: (B, T * n, C), frame by frame; its n may differ from that of keys and values.
        key, value: (B, T * m, C).
        projections: weights of the second step (Eq. 3), cast to the type of the query.
        num_frames: T.
        num_heads: h.
        scale: factor on both steps' scores.

    Returns:
        (B, T * n, C), before any output projection.
    """
    device_type, dtype = query.device.type, query.dtype
    if torch.is_autocast_enabled(device_type):
        dtype = torch.get_autocast_dtype(device_type)
    tensors = (x if x is None else x.to(dtype) for x in (query, key, value, *projections))
    # The operator is what compiled graphs hold; its bookkeeping costs more than the small launches.
    attend = _attend if torch.compiler.is_compiling() else _Attention.apply
    return attend(*tensors, num_frames, num_heads, scale)


def _attend_on_lines(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_weight: Tensor,
    query_bias: Tensor | None,
    key_value_weight: Tensor,
    key_value_bias: Tensor | None,
    num_frames: int,
    num_heads: int,
    scale: float,
) -> Tensor:
    query, key, value, *weights = _contiguous(
        query, key, value, query_weight, query_bias, key_value_weight, key_value_bias
    )
    projections = Projections(*weights)
    launcher = Launcher(query, num_frames, num_heads, scale)
    out = torch.empty_like(query)
    for lines in _parts(query, num_frames, 1):
        points = launcher.trace(query[lines], key[lines], value[lines], None)
        launcher.pool(points, projections, out[lines])
    return out


_attend = torch.library.custom_op('axialvs::trajectory_attention', mutates_args=())(
    _attend_on_lines
)


@_attend.register_fake
def _(query: Tensor, *unused) -> Tensor:
    return torch.empty_like(query, memory_format=torch.contiguous_format)


def _gradients(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_weight: Tensor,
    query_bias: Tensor | None,
    key_value_weight: Tensor,
    num_frames: int,
    num_heads: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of query, key, value, query weight, query bias and key-value weight."""
    grad_out, query, key, value, *weights = _contiguous(
        grad_out, query, key, value, query_weight, query_bias, key_value_weight
    )
    projections = Projections(*weights, None)
    launcher = Launcher(query, num_frames, num_heads, scale)
    grad_query, grad_key, grad_value = (torch.empty_like(x) for x in (query, key, value))
    of_weights = of_query_bias = 0.0
    for lines in _parts(query, num_frames, BACKWARD_PARTS):
        q, k, v, gradient = query[lines], key[lines], value[lines], grad_out[lines]
        log_sums = q.new_empty(len(q), num_heads, num_frames, q.shape[1], dtype=torch.float32)
        points = launcher.trace(q, k, v, log_sums)
        # Gradients of the first step come last: until then their memory serves the second.
        of_second = grad_key[lines] if k.shape == q.shape else torch.empty_like(q)
        over_frames = launcher.pool_backward(
            points, projections, gradient, grad_query[lines], of_second
        )
        of_query_bias = of_query_bias + of_second.sum((0, 1), dtype=torch.float32)
        of_weights = of_weights + launcher.projections_backward(points, gradient, over_frames)
        point_means = launcher.points_backward(points, projections, gradient, over_frames)
        del over_frames, of_second
        gradients = (grad_query[lines], grad_key[lines], grad_value[lines])
        launcher.trace_backward(q, k, v, points, log_sums, point_means, *gradients)
        del points, log_sums, point_means
    of_query_weight, of_query_bias, of_key_value_weight = (
        # An operator's results must not share memory.
        x.to(query.dtype, copy=True)
        for x in (of_weights[0], of_query_bias, of_weights[1:].flatten(0, 1))
    )
    return grad_query, grad_key, grad_value, of_query_weight, of_query_bias, of_key_value_weight


_gradients_operator = torch.library.custom_op(
    'axialvs::trajectory_attention_backward', mutates_args=()
)(_gradients)


@_gradients_operator.register_fake
def _(grad_out, query, key, value, query_weight, query_bias, key_value_weight, *unused):
    tensors = (query, key, value, query_weight, query_weight[:, 0], key_value_weight)
    return tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for x in tensors)


def _keep(ctx, inputs: tuple, output: Tensor) -> None:
    *tensors, key_value_bias, ctx.num_frames, ctx.num_heads, ctx.scale = inputs
    ctx.has_key_value_bias = key_value_bias is not None
    ctx.save_for_backward(*tensors)


def _backward(ctx, grad_out: Tensor, gradients: Callable) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    *of_sequences, of_query_weight, of_query_bias, of_key_value_weight = gradients(
        grad_out, *tensors, ctx.num_frames, ctx.num_heads, ctx.scale
    )
    if tensors[4] is None:
        of_query_bias = None
    of_key_value_bias = None
    if ctx.has_key_value_bias:
        # The key bias cancels in the softmax over frames.
        of_value_bias = grad_out.sum((0, 1))
        of_key_value_bias = torch.cat((torch.zeros_like(of_value_bias), of_value_bias))
    return (
        *(*of_sequences, of_query_weight, of_query_bias, of_key_value_weight, of_key_value_bias),
        *(None, None, None),
    )


_attend.register_autograd(partial(_backward, gradients=_gradients_operator), setup_context=_keep)


class _Attention(torch.autograd.Function):
    """The operator without its bookkeeping."""

    @staticmethod
    def forward(ctx, *inputs) -> Tensor:
        out = _attend_on_lines(*inputs)
        _keep(ctx, inputs, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        return _backward(ctx, grad_out, _gradients)


def _contiguous(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if x is None else x.contiguous() for x in tensors]


def _parts(query: Tensor, num_frames: int, at_least: int) -> Iterator[slice]:
    """Lines that are worked on together: their trajectory points take at most `POINT_BYTES`."""
    num_lines = len(query)
    line_bytes = num_frames * query.shape[1] * query.shape[2] * query.element_size()
    step = max(1, min(POINT_BYTES // line_bytes, -(-num_lines // at_least)))
    for start in range(0, num_lines, step):
        yield slice(start, start + step)
