"""Trajectory attention on a GPU in a few fused kernels, as one operator that torch.compile keeps.

Source: Axial-VS Eq. 2-4. Letters as in `trajectory_attention`. Attention maps stay in registers and
trajectory points are held for some lines at a time; the backward pass recomputes both. Importing
this file needs Triton; with `TRITON_INTERPRET=1` it runs on a CPU, for tests.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import triton
from mmengine.logging import print_log
from torch import Tensor
from torch.autograd.function import once_differentiable

from axialvs.functional.trajectory_launches import Launcher, Projections

if TYPE_CHECKING:
    from axialvs.functional.trajectory_attention import TrajectoryProjections

__all__ = ['trajectory_attention_triton', 'triton_supports']

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
HEAD_SIZES = (32, 64)
MAX_CHANNELS = 512  # a program holds all channels of its tokens in registers

# Trajectory points held at once: more lines are taken in parts.
POINT_BYTES = 64 * 2**20


def missing_reason() -> str | None:
    """Return why the kernels cannot run on this machine's GPUs, or None if they can."""
    if tuple(int(x) for x in triton.__version__.split('.')[:2]) < (3, 6):
        return f'Triton {triton.__version__} is older than 3.6'
    capabilities = [*map(torch.cuda.get_device_capability, range(torch.cuda.device_count()))]
    # Older GPUs lack bfloat16 or shared memory.
    if torch.version.hip is not None or min(capabilities, default=(8, 0)) < (8, 0):
        return 'a GPU is not from NVIDIA or older than compute capability 8.0'
    if capabilities:
        try:  # builds a C extension
            triton.runtime.driver.active.utils  # noqa: B018
        except Exception as error:  # whatever the compiler or the linker lacks
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            return f'Triton needs a C compiler and the headers of Python ({reason})'
    return None


MISSING_REASON = missing_reason()
RUNS_HERE = MISSING_REASON is None  # a constant, which compiled graphs may read
if MISSING_REASON:
    print_log(f'trajectory attention: no fused kernel ({MISSING_REASON})', 'current')


def triton_supports(query: Tensor, num_heads: int, dropout_p: float = 0.0) -> bool:
    """Whether `trajectory_attention_triton` takes this call; others go to the eager form.

    Args:
        query: (B, T * n, C).
        num_heads: h, a power of two.
        dropout_p: dropout on attention weights, which the kernels do not have.
    """
    channels = query.shape[-1]
    return (
        RUNS_HERE
        and dropout_p == 0
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
    query, key, value, *weights = _dense(
        query, key, value, query_weight, query_bias, key_value_weight, key_value_bias
    )
    projections = Projections(*weights)
    launcher = Launcher(query, num_frames, num_heads, scale)
    out = torch.empty_like(query)
    with torch.cuda.device_of(query):
        for q, k, v, o in _parts(num_frames, query, key, value, out):
            points = launcher.trace(q, k, v, None)
            launcher.pool(points, projections, o)
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
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of query, key, value, and of the projections in one tensor.

    The last one has weights, then biases, of query, key and value: (3 * C * C + 3 * C,).
    """
    grad_out, query, key, value, *weights = _dense(
        grad_out, query, key, value, query_weight, query_bias, key_value_weight
    )
    projections = Projections(weights[0], weights[1], weights[2], None)
    launcher = Launcher(query, num_frames, num_heads, scale)
    grad_query, grad_key, grad_value = (torch.empty_like(x) for x in (query, key, value))
    of_projections: Any = None
    tensors = (query, key, value, grad_out, grad_query, grad_key, grad_value)
    with torch.cuda.device_of(query):
        for q, k, v, gradient, *of_first in _parts(num_frames, *tensors):
            shape = (len(q), num_heads, num_frames, q.shape[1])
            log_sums, point_means = (q.new_empty(shape, dtype=torch.float32) for _ in range(2))
            points = launcher.trace(q, k, v, log_sums)
            # Gradients of the first step come last: until then their memory serves the second.
            of_query = of_first[0]
            of_second = of_first[1] if k.shape == q.shape else torch.empty_like(q)
            over_frames = launcher.pool_backward(points, projections, gradient, of_query, of_second)
            sums = launcher.projections_backward(points, gradient, over_frames)
            of_projections = sums if of_projections is None else of_projections + sums
            launcher.points_backward(points, projections, gradient, over_frames, point_means)
            launcher.trace_backward(q, k, v, points, log_sums, point_means, *of_first)
    return grad_query, grad_key, grad_value, of_projections.to(query.dtype)


_gradients_operator = torch.library.custom_op(
    'axialvs::trajectory_attention_backward', mutates_args=()
)(_gradients)


@_gradients_operator.register_fake
def _(grad_out, query, key, value, query_weight, *unused):
    channels = query.shape[2]
    return (
        *(torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)),
        query_weight.new_empty(3 * channels * (channels + 1)),
    )


def _keep(ctx, inputs: tuple, output: Tensor) -> None:
    *tensors, key_value_bias, ctx.num_frames, ctx.num_heads, ctx.scale = inputs
    ctx.has_key_value_bias = key_value_bias is not None
    ctx.save_for_backward(*tensors)


def _backward(ctx, grad_out: Tensor, gradients: Callable) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    *of_sequences, of_projections = gradients(
        grad_out, *tensors, ctx.num_frames, ctx.num_heads, ctx.scale
    )
    channels = grad_out.shape[2]
    area = channels * channels
    sizes = (area, 2 * area, channels, 2 * channels)
    of_query_weight, of_key_value_weight, of_query_bias, of_bias = of_projections.split_with_sizes(
        sizes
    )
    return (
        *of_sequences,
        of_query_weight.view(channels, channels),
        None if tensors[4] is None else of_query_bias,
        of_key_value_weight.view(2 * channels, channels),
        of_bias if ctx.has_key_value_bias else None,
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


def _dense(*tensors: Tensor | None) -> list[Any]:
    """Copy tensors that are not contiguous, or do not begin at a multiple of 16 bytes."""
    return [
        x
        if x is None or (x.is_contiguous() and x.data_ptr() % 16 == 0)
        else x.clone(memory_format=torch.contiguous_format)
        for x in tensors
    ]


def _parts(num_frames: int, query: Tensor, *tensors: Tensor) -> Iterable[Sequence[Tensor]]:
    """Lines that are worked on together: their trajectory points take at most `POINT_BYTES`."""
    line_bytes = num_frames * query.shape[1] * query.shape[2] * query.element_size()
    num_lines = max(1, POINT_BYTES // line_bytes)
    if num_lines >= len(query):
        return [(query, *tensors)]
    return zip(*(x.split(num_lines) for x in (query, *tensors)), strict=True)
