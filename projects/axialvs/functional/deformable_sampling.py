"""Multi-scale deformable sampling: compiled kernels where they apply, else PyTorch.

Source: Deformable DETR (Zhu et al., 2021), Eq. 3. Levels run from low to high resolution.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from axialvs.functional.sampling_forms import (
    Shape,
    sample_with_embedding_bag,
    sample_with_grid,
)
from axialvs.functional.sampling_operators import (
    MMCV_TYPES,
    deformops_missing_reason,
    sample_with_deformops,
    sample_with_mmcv,
)
from axialvs.operators import INSTALL_HINT, MissingOperatorError, missing_reason

__all__ = [
    'Backend',
    'Shape',
    'check_backend',
    'choose_backend',
    'chosen_form',
    'deformable_sampling',
    'let_compiler_resolve_once',
]

Backend = Literal['auto', 'mmcv', 'deformops', 'torch']

_MIN_HEAD_CHANNELS_FOR_BAG = 32


def check_backend(backend: str) -> None:
    """Raises for a backend that this installation does not have.

    Raises:
        ValueError: if the name is unknown.
        MissingOperatorError: if what it needs is not installed; says how to install it.
    """
    if backend not in get_args(Backend):
        known = ', '.join(map(repr, get_args(Backend)))
        raise ValueError(f"deformable sampling: backend is '{backend}'; there is {known}")
    if backend == 'mmcv' and (reason := missing_reason()):
        raise MissingOperatorError(
            f"deformable sampling: backend 'mmcv' is not here: {reason}. {INSTALL_HINT} "
            "Backend 'torch' needs nothing"
        )
    if backend == 'deformops' and (reason := deformops_missing_reason()):
        raise MissingOperatorError(
            f"deformable sampling: backend 'deformops' is not here: {reason}. "
            "Backend 'torch' needs nothing"
        )


def choose_backend(device_type: str, dtype: torch.dtype) -> tuple[str, str]:
    """Which backend 'auto' takes for values of this device and type, and why.

    Returns:
        `('mmcv' | 'deformops' | 'torch', reason)`.
    """
    if device_type != 'cuda':
        return 'torch', f'device is {device_type}'
    no_mmcv, no_deformops = missing_reason(), deformops_missing_reason()
    if no_mmcv is None and dtype in MMCV_TYPES:
        return 'mmcv', 'compiled CUDA operator'
    if no_deformops is None and dtype in (*MMCV_TYPES, torch.bfloat16):
        return 'deformops', 'its kernels for this GPU'
    if no_mmcv is None and dtype == torch.bfloat16:
        return 'mmcv', f'compiled CUDA operator, in float32; {no_deformops}'
    if no_mmcv is None:
        return 'torch', f'the compiled operators do not take {dtype}'
    return 'torch', f'{no_mmcv}; {no_deformops}'


def deformable_sampling(
    value: Tensor,
    shapes: Sequence[Shape],
    locations: Tensor,
    weights: Tensor,
    backend: Backend = 'auto',
) -> Tensor:
    """Weighted sums of bilinear samples from several feature maps.

    Args:
        value: (B, sum of H_l W_l, h, d), maps flattened row by row, one level after the other.
        shapes: (H_l, W_l) of each level, as Python ints.
        locations: (B, N, h, levels, points, 2), x and y in units of the map's size, 0 to 1 inside.
        weights: (B, N, h, levels, points).
        backend: what computes it; 'auto' takes the quickest that there is.

    Returns:
        (B, N, h * d).

    Raises:
        ValueError: if the backend is unknown, or does not run on this device.
        MissingOperatorError: if the backend that was asked for is not installed.
    """
    backend = _resolve(backend, value.device.type, value.dtype)
    if backend == 'mmcv':
        return sample_with_mmcv(value, shapes, locations, weights)
    if backend == 'deformops':
        return sample_with_deformops(value, shapes, locations, weights)
    return _sample_with_torch(value, shapes, locations, weights)


def let_compiler_resolve_once() -> None:
    """Has torch's compiler ask for the backend while it compiles, and not look how it is chosen.

    Not done when this module is imported: it loads the compiler, which takes seconds.
    """
    torch.compiler.assume_constant_result(_resolve)


def _resolve(backend: str, device_type: str, dtype: torch.dtype) -> str:
    """What runs, said in the log."""
    if backend == 'auto':
        backend, reason = choose_backend(device_type, dtype)
    else:
        check_backend(backend)
        if backend == 'mmcv' and device_type != 'cuda':
            raise ValueError(
                f"deformable sampling: backend 'mmcv' runs on a GPU only, and the values are on "
                f"{device_type}; use 'auto' or 'torch'"
            )
        reason = 'asked for'
    _log_backend(backend, reason)
    return backend


@functools.cache
def _log_backend(backend: str, reason: str) -> None:
    """Says once for each reason which form runs."""
    MMLogger.get_current_instance().info(f'deformable sampling: {backend} ({reason})')


def chosen_form(head_channels: int, needs_gradient: bool) -> Callable[..., Tensor]:
    """Which form in PyTorch is the quicker one on a CPU.

    Measured: one `embedding_bag` wins where only the result is wanted and a head is wide enough to
    pay for the indices; its backward pass is slower than that of `grid_sample`.
    """
    if needs_gradient or head_channels < _MIN_HEAD_CHANNELS_FOR_BAG:
        return sample_with_grid
    return sample_with_embedding_bag


def _sample_with_torch(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    needs_gradient = torch.is_grad_enabled() and any(
        x.requires_grad for x in (value, locations, weights)
    )
    form = chosen_form(value.shape[-1], needs_gradient)
    return form(value, shapes, locations, weights)
