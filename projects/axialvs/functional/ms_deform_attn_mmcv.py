"""mmcv's CUDA operator for deformable attention as a custom op, opaque to `torch.compile`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from axialvs.functional.ms_deform_attn import MMCV_DTYPES, Shape, level_tensors


def ms_deform_attn_mmcv(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample with mmcv's CUDA kernel; arguments as in `ms_deform_attn`."""
    dtype = value.dtype
    # The kernel has no bfloat16 path; upcast to float32, because float16 would overflow.
    value = value if dtype in MMCV_DTYPES else value.float()
    flat_shapes = [x for shape in shapes for x in shape]
    sampled = _mmcv_op(value, flat_shapes, locations.to(value.dtype), weights.to(value.dtype))
    return sampled.to(dtype)


def _kernel_arguments(
    value: Tensor, flat_shapes: Sequence[int], locations: Tensor, weights: Tensor
) -> list[Tensor]:
    shapes = list(zip(flat_shapes[::2], flat_shapes[1::2], strict=True))
    tensors = (value, *level_tensors(shapes, value.device), locations, weights)
    return [x.contiguous() for x in tensors]


@torch.library.custom_op('axialvs::mmcv_ms_deform_attn', mutates_args=())
def _mmcv_op(
    value: Tensor, flat_shapes: Sequence[int], locations: Tensor, weights: Tensor
) -> Tensor:
    """Run the kernel; `flat_shapes` are heights and widths, level after level."""
    from mmcv import _ext

    arguments = _kernel_arguments(value, flat_shapes, locations, weights)
    # `im2col_step` must divide the batch size.
    return _ext.ms_deform_attn_forward(*arguments, im2col_step=len(value))


@_mmcv_op.register_fake
def _(value: Tensor, flat_shapes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    batch, _, heads, channels = value.shape
    return value.new_empty(batch, locations.shape[1], heads * channels)


@torch.library.custom_op('axialvs::mmcv_ms_deform_attn_backward', mutates_args=())
def _mmcv_op_backward(
    value: Tensor, flat_shapes: Sequence[int], locations: Tensor, weights: Tensor, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    from mmcv import _ext

    arguments = _kernel_arguments(value, flat_shapes, locations, weights)
    grads = [torch.zeros_like(arguments[i]) for i in (0, 3, 4)]
    _ext.ms_deform_attn_backward(*arguments, grad_out.contiguous(), *grads, im2col_step=len(value))
    return grads[0], grads[1], grads[2]


@_mmcv_op_backward.register_fake
def _(
    value: Tensor, flat_shapes: Sequence[int], locations: Tensor, weights: Tensor, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(value), torch.empty_like(locations), torch.empty_like(weights)


def _save_for_backward(ctx: Any, inputs: tuple, output: Tensor) -> None:
    value, ctx.flat_shapes, locations, weights = inputs
    ctx.save_for_backward(value, locations, weights)


def _backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
    value, locations, weights = ctx.saved_tensors
    grad_value, grad_locations, grad_weights = _mmcv_op_backward(
        value, ctx.flat_shapes, locations, weights, grad_out
    )
    return grad_value, None, grad_locations, grad_weights


_mmcv_op.register_autograd(_backward, setup_context=_save_for_backward)
