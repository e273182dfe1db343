"""Multi-scale deformable sampling by compiled kernels of mmcv and of deformops.

mmcv's kernels are wrapped as operators of torch, so that a compiler takes them as they are.
deformops (Kurt Stolle, MIT) is an optional package with kernels in CUDA and Triton.
"""

import functools
import importlib.util
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from axialvs.functional.sampling_forms import Shape, level_tensors

# What deformops says that it needs; setup.cfg's extra says the same.
DEFORMOPS_OLDEST_PYTHON = (3, 12)
DEFORMOPS_OLDEST_TORCH = (2, 11)
# The types that mmcv's CUDA kernel is compiled for.
MMCV_TYPES = (torch.float32, torch.float16)


@functools.cache
def deformops_missing_reason() -> str | None:
    """Why deformops cannot be had, with what to do; None where it can be imported."""
    if sys.version_info < DEFORMOPS_OLDEST_PYTHON:
        return _too_old('Python', DEFORMOPS_OLDEST_PYTHON, '.'.join(map(str, sys.version_info[:2])))
    if importlib.util.find_spec('deformops') is None:
        return 'deformops is not installed; `pip install deformops` adds it'
    if tuple(map(int, torch.__version__.split('.')[:2])) < DEFORMOPS_OLDEST_TORCH:
        return _too_old('torch', DEFORMOPS_OLDEST_TORCH, torch.__version__)
    try:
        from deformops.registry import msda  # noqa: F401
    except Exception as error:  # a library of others, in any state
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        return (
            f'deformops does not load ({reason}); `pip install --force-reinstall --no-deps '
            'deformops` puts it in order, `pip uninstall deformops` does without'
        )
    return None


def _too_old(what: str, oldest: Sequence[int], here: str) -> str:
    return f'deformops needs {what} {".".join(map(str, oldest))} or newer, this is {here}'


def sample_with_deformops(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """deformops' own choice of kernel; arguments as in `deformable_sampling`."""
    from deformops.registry import msda

    sizes, starts = level_tensors(shapes, value.device)
    sampled = msda(value, sizes, starts, locations, weights.flatten(-2).to(value.dtype))
    return sampled.to(value.dtype)


def sample_with_mmcv(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """mmcv's CUDA kernel; arguments as in `deformable_sampling`."""
    dtype = value.dtype
    # float16 has not the range of bfloat16, so what the kernel does not take goes up, not across.
    value = value if dtype in MMCV_TYPES else value.float()
    sides = [x for shape in shapes for x in shape]
    sampled = _mmcv_sampling(value, sides, locations.to(value.dtype), weights.to(value.dtype))
    return sampled.to(dtype)


def _kernel_arguments(
    value: Tensor, sides: Sequence[int], locations: Tensor, weights: Tensor
) -> list[Tensor]:
    shapes = list(zip(sides[::2], sides[1::2], strict=True))
    tensors = (value, *level_tensors(shapes, value.device), locations, weights)
    return [x.contiguous() for x in tensors]


@torch.library.custom_op('axialvs::mmcv_sampling', mutates_args=())
def _mmcv_sampling(
    value: Tensor, sides: Sequence[int], locations: Tensor, weights: Tensor
) -> Tensor:
    """`sides`: height and width of one level after the other."""
    from mmcv import _ext

    arguments = _kernel_arguments(value, sides, locations, weights)
    # The kernel asserts that its step divides the batch; the batch itself always does.
    return _ext.ms_deform_attn_forward(*arguments, im2col_step=len(value))


@_mmcv_sampling.register_fake
def _(value: Tensor, sides: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    batch, _, heads, channels = value.shape
    return value.new_empty(batch, locations.shape[1], heads * channels)


@torch.library.custom_op('axialvs::mmcv_sampling_backward', mutates_args=())
def _mmcv_sampling_backward(
    value: Tensor, sides: Sequence[int], locations: Tensor, weights: Tensor, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    from mmcv import _ext

    arguments = _kernel_arguments(value, sides, locations, weights)
    gradients = tuple(torch.zeros_like(arguments[i]) for i in (0, 3, 4))
    _ext.ms_deform_attn_backward(
        *arguments, grad_out.contiguous(), *gradients, im2col_step=len(value)
    )
    return gradients


@_mmcv_sampling_backward.register_fake
def _(
    value: Tensor, sides: Sequence[int], locations: Tensor, weights: Tensor, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(x.new_empty(x.shape) for x in (value, locations, weights))


def _keep_for_backward(ctx, inputs: tuple, output: Tensor) -> None:
    value, ctx.sides, locations, weights = inputs
    ctx.save_for_backward(value, locations, weights)


def _backward(ctx, grad_out: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
    value, locations, weights = ctx.saved_tensors
    of_value, of_locations, of_weights = _mmcv_sampling_backward(
        value, ctx.sides, locations, weights, grad_out
    )
    return of_value, None, of_locations, of_weights


_mmcv_sampling.register_autograd(_backward, setup_context=_keep_for_backward)
