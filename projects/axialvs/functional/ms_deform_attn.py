"""Multi-scale deformable sampling in PyTorch: the literal form, and one that is quicker on a CPU.

Arguments and result of both are those of `axialvs.functional.ms_deform_attn`.
"""

import functools
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor

from axialvs.utils.errors import AxialVSError
from axialvs.utils.mmcv_ops import INSTALL_HINT, MissingOperatorError, missing_reason

Shape = tuple[int, int]


def level_tensors(shapes: Sequence[Shape], device: torch.device) -> tuple[Tensor, Tensor]:
    """Shapes (levels, 2) and start indices (levels,) of feature maps, long.

    They are filled in on the device, so nothing waits for a copy, and kept for the next call; a
    compiler sees them made.
    """
    shapes = tuple(map(tuple, shapes))
    if torch.compiler.is_compiling():
        return _make_level_tensors(shapes, device)
    return _kept_level_tensors(shapes, device)


@functools.lru_cache(maxsize=16)
def _kept_level_tensors(shapes: tuple[Shape, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    # What is made in inference mode could not take part in a training step later.
    with torch.inference_mode(False):
        return _make_level_tensors(shapes, device)


def _make_level_tensors(shapes: tuple[Shape, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    def integers(numbers: list[int]) -> Tensor:
        return torch.cat([torch.full((1,), x, dtype=torch.long, device=device) for x in numbers])

    starts = [0]
    for height, width in shapes[:-1]:
        starts.append(starts[-1] + height * width)
    return integers([x for shape in shapes for x in shape]).view(-1, 2), integers(starts)


def sample_with_grid(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """The literal form, one `grid_sample` a level."""
    batch, _, heads, channels = value.shape
    num_queries = locations.shape[1]
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # levels, B h, N, points, 2
    level_weights = weights.permute(3, 0, 2, 1, 4).flatten(1, 2)  # levels, B h, N, points
    out = value.new_zeros(batch * heads, channels, num_queries)
    for maps, shape, grid, weight in zip(
        value.split([h * w for h, w in shapes], dim=1), shapes, grids, level_weights, strict=True
    ):
        maps = maps.permute(0, 2, 3, 1).reshape(batch * heads, channels, *shape)
        samples = F.grid_sample(maps, grid, align_corners=False)  # B h, d, N, points
        out = out + (samples * weight.unsqueeze(1)).sum(-1)
    return out.view(batch, heads * channels, num_queries).transpose(1, 2)


def sample_with_embedding_bag(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """All levels, points and corners as one weighted `embedding_bag`, quicker on a CPU."""
    batch, num_values, heads, channels = value.shape
    num_queries = locations.shape[1]
    sizes, starts = level_tensors(shapes, value.device)
    heights, widths = sizes.to(torch.int32)[:, :, None].unbind(1)  # (levels, 1) each
    x, weights_x = _neighbours(locations[..., 0], widths)
    y, weights_y = _neighbours(locations[..., 1], heights)

    # Row of (b, position, head) in the table of values; everything but x is added once for each y.
    integers = dict(dtype=torch.int32, device=value.device)
    sample_row = torch.arange(batch, **integers).mul_(num_values * heads).view(-1, 1, 1, 1, 1)
    head_row = torch.arange(heads, **integers).view(-1, 1, 1)
    first_row = sample_row + head_row + starts.to(torch.int32).mul_(heads)[:, None]
    rows_y = [row.mul_(widths * heads).add_(first_row) for row in y]
    columns = [column.mul_(heads) for column in x]

    rows = torch.empty(batch, num_queries, heads, 4, *weights.shape[3:], **integers)
    bag_weights = torch.empty_like(rows, dtype=value.dtype)
    for corner, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        rows[:, :, :, corner] = rows_y[i] + columns[j]
        bag_weights[:, :, :, corner] = weights_y[i] * weights_x[j] * weights
    bags = F.embedding_bag(
        rows.flatten(0, 2).flatten(1),
        value.reshape(-1, channels),
        mode='sum',
        per_sample_weights=bag_weights.flatten(0, 2).flatten(1),
    )
    return bags.view(batch, num_queries, heads * channels)


def _neighbours(location: Tensor, size: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The two cells on either side of a location along one axis, and their bilinear weights.

    Args:
        location: (B, N, h, levels, points) in units of the map's size.
        size: (levels, 1) cells along the axis, int32.

    Returns:
        Indices, int32, and weights of the lower and the upper cell; a cell outside of the map has
        weight 0 and some valid index.
    """
    cell = location * size - 0.5
    lower = cell.detach().floor()
    fraction = cell - lower
    lower = lower.to(torch.int32)
    indices, weights = [], []
    for index, weight in ((lower, 1 - fraction), (lower + 1, fraction)):
        inside = index.clamp(min=0).minimum(size - 1)
        weights.append(weight * (inside == index))
        indices.append(inside)
    return indices, weights


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
        raise AxialVSError(f"deformable sampling: backend is '{backend}'; there is {known}")
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
            raise AxialVSError(
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
