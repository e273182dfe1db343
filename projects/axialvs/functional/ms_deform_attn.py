"""Multi-scale deformable attention (Zhu et al., 2021, Eq. 3).

`ms_deform_attn` selects one of three equivalent implementations: mmcv's compiled CUDA operator, the
kernels of deformops, or pure PyTorch.
"""

import functools
import importlib.util
import sys
from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from axialvs.utils.mmcv_ops import INSTALL_HINT, MissingOperatorError, missing_reason

Shape = tuple[int, int]
Backend = Literal['auto', 'mmcv', 'deformops', 'torch']

# Minimum versions for deformops, as in the package's extra.
DEFORMOPS_MIN_PYTHON = (3, 12)
DEFORMOPS_MIN_TORCH = (2, 11)
# Dtypes of mmcv's CUDA kernel.
MMCV_DTYPES = (torch.float32, torch.float16)
# Channels per head from which `embedding_bag` is faster, in spite of computing its indices.
_MIN_EMBEDDING_BAG_CHANNELS = 32


def ms_deform_attn(
    value: Tensor,
    shapes: Sequence[Shape],
    locations: Tensor,
    weights: Tensor,
    backend: Backend = 'auto',
) -> Tensor:
    """Sum weighted bilinear samples from several feature maps.

    Args:
        value: (B, sum of H_l W_l, h, d), maps flattened row by row, level after level.
        shapes: (H_l, W_l) of each level, as Python ints.
        locations: (B, N, h, levels, points, 2), normalized x and y; 0 to 1 inside the map.
        weights: (B, N, h, levels, points).
        backend: implementation; 'auto' selects the fastest one available.

    Returns:
        (B, N, h * d).

    Raises:
        ValueError: if the backend is unknown or does not run on the device.
        MissingOperatorError: if the backend is not installed.
    """
    backend = _resolve(backend, value.device.type, value.dtype)
    if backend == 'mmcv':
        from axialvs.functional.ms_deform_attn_mmcv import ms_deform_attn_mmcv

        return ms_deform_attn_mmcv(value, shapes, locations, weights)
    if backend == 'deformops':
        return ms_deform_attn_deformops(value, shapes, locations, weights)
    return ms_deform_attn_torch(value, shapes, locations, weights)


def select_implementation(device_type: str, dtype: torch.dtype) -> tuple[Backend, str]:
    """Return the backend that 'auto' selects for a device and dtype, and the reason."""
    if device_type != 'cuda':
        return 'torch', f'device is {device_type}'
    no_mmcv, no_deformops = missing_reason(), deformops_missing_reason()
    if no_mmcv is None and dtype in MMCV_DTYPES:
        return 'mmcv', 'compiled CUDA operator'
    if no_deformops is None and dtype in (*MMCV_DTYPES, torch.bfloat16):
        return 'deformops', 'its kernels for this GPU'
    if no_mmcv is None and dtype == torch.bfloat16:
        return 'mmcv', f'compiled CUDA operator, in float32; {no_deformops}'
    if no_mmcv is None:
        return 'torch', f'the compiled operators do not support {dtype}'
    return 'torch', f'{no_mmcv}; {no_deformops}'


def check_backend(backend: str) -> None:
    """Check that a backend is installed.

    Raises:
        ValueError: if the name is unknown.
        MissingOperatorError: if it is not installed; the message says how to install it.
    """
    if backend not in get_args(Backend):
        known = ', '.join(map(repr, get_args(Backend)))
        raise ValueError(f"deformable attention: unknown backend '{backend}' (known: {known})")
    reason = None
    if backend == 'mmcv' and (reason := missing_reason()):
        reason = f'{reason}. {INSTALL_HINT}'
    if backend == 'deformops':
        reason = deformops_missing_reason()
    if reason:
        raise MissingOperatorError(
            f"deformable attention: backend '{backend}' unavailable: {reason}; use backend='torch'"
        )


def _resolve(backend: Backend, device_type: str, dtype: torch.dtype) -> Backend:
    if backend == 'auto':
        backend, reason = select_implementation(device_type, dtype)
    else:
        check_backend(backend)
        if backend == 'mmcv' and device_type != 'cuda':
            raise ValueError(
                f"deformable attention: backend 'mmcv' needs a GPU, but the values are on "
                f"{device_type}; use backend='auto' or 'torch'"
            )
        reason = 'by configuration'
    if device_type != 'cpu':  # the CPU has only one backend
        _log_once(backend, reason)
    return backend


@functools.cache
def _log_once(backend: str, reason: str) -> None:
    print_log(f'deformable attention: backend {backend} ({reason})', logger='current')


def make_dispatch_compile_constant() -> None:
    """Treat backend selection as a compile-time constant under `torch.compile`.

    Not done on import, because loading the compiler takes seconds.
    """
    torch.compiler.assume_constant_result(_resolve)


@functools.cache
def deformops_missing_reason() -> str | None:
    """Return why deformops cannot be used and how to fix it, or None if it can be used."""
    if sys.version_info < DEFORMOPS_MIN_PYTHON:
        return _too_old('Python', DEFORMOPS_MIN_PYTHON, '.'.join(map(str, sys.version_info[:2])))
    if importlib.util.find_spec('deformops') is None:
        return 'deformops is not installed (`pip install deformops`)'
    if tuple(map(int, torch.__version__.split('.')[:2])) < DEFORMOPS_MIN_TORCH:
        return _too_old('torch', DEFORMOPS_MIN_TORCH, torch.__version__)
    try:
        from deformops.registry import msda  # noqa: F401
    except Exception as error:  # a broken installation may raise anything
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        return (
            f'deformops cannot be imported ({reason}); `pip install --force-reinstall --no-deps '
            'deformops` repairs it, `pip uninstall deformops` removes it'
        )
    return None


def _too_old(what: str, minimum: Sequence[int], installed: str) -> str:
    return f'deformops needs {what} >= {".".join(map(str, minimum))}, installed is {installed}'


def level_tensors(shapes: Sequence[Shape], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return shapes (levels, 2) and start indices (levels,) of feature maps, long.

    They are filled on the device to avoid a synchronization with the host, and cached unless a
    compiler is tracing.
    """
    shapes = tuple((height, width) for height, width in shapes)
    if torch.compiler.is_compiling():
        return _make_level_tensors(shapes, device)
    return _cached_level_tensors(shapes, device)


@functools.lru_cache(maxsize=16)
def _cached_level_tensors(shapes: tuple[Shape, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    # Tensors created in inference mode cannot be used in a training step later.
    with torch.inference_mode(False):
        return _make_level_tensors(shapes, device)


def _make_level_tensors(shapes: tuple[Shape, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    def integers(numbers: list[int]) -> Tensor:
        return torch.cat([torch.full((1,), x, dtype=torch.long, device=device) for x in numbers])

    starts = [0]
    for height, width in shapes[:-1]:
        starts.append(starts[-1] + height * width)
    return integers([x for shape in shapes for x in shape]).view(-1, 2), integers(starts)


def ms_deform_attn_torch(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """Run the faster of the two PyTorch implementations; arguments as in `ms_deform_attn`.

    One `embedding_bag` wins on a CPU for inference and wide heads; its backward pass is slower than
    that of `grid_sample`.
    """
    needs_gradient = torch.is_grad_enabled() and any(
        x.requires_grad for x in (value, locations, weights)
    )
    if needs_gradient or value.shape[-1] < _MIN_EMBEDDING_BAG_CHANNELS:
        return ms_deform_attn_grid_sample(value, shapes, locations, weights)
    return ms_deform_attn_embedding_bag(value, shapes, locations, weights)


def ms_deform_attn_grid_sample(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample with one `grid_sample` per level; arguments as in `ms_deform_attn`."""
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


def ms_deform_attn_embedding_bag(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample all levels with one `embedding_bag`; arguments as in `ms_deform_attn`."""
    batch, num_values, heads, channels = value.shape
    num_queries = locations.shape[1]
    sizes, starts = level_tensors(shapes, value.device)
    heights, widths = sizes.to(torch.int32)[:, :, None].unbind(1)  # (levels, 1) each
    x, weights_x = _neighbors(locations[..., 0], widths)
    y, weights_y = _neighbors(locations[..., 1], heights)

    def arange(length: int) -> Tensor:
        return torch.arange(length, dtype=torch.int32, device=value.device)

    # Row of (b, position, head) in the embedding table; only x is added per corner.
    sample_row = arange(batch).mul_(num_values * heads).view(-1, 1, 1, 1, 1)
    head_row = arange(heads).view(-1, 1, 1)
    first_row = sample_row + head_row + starts.to(torch.int32).mul_(heads)[:, None]
    rows_y = [row.mul_(widths * heads).add_(first_row) for row in y]
    columns = [column.mul_(heads) for column in x]

    rows = first_row.new_empty(batch, num_queries, heads, 4, *weights.shape[3:])
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


def _neighbors(location: Tensor, size: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Find the two cells next to a location along one axis.

    Args:
        location: (B, N, h, levels, points), normalized by the size of the map.
        size: (levels, 1), cells along the axis, int32.

    Returns:
        Indices (int32) and bilinear weights of the lower and the upper cell; cells outside of the
        map have weight 0 and a clamped index.
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


def ms_deform_attn_deformops(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample with a kernel that deformops selects; arguments as in `ms_deform_attn`."""
    from deformops.registry import msda

    sizes, starts = level_tensors(shapes, value.device)
    sampled = msda(value, sizes, starts, locations, weights.flatten(-2).to(value.dtype))
    return sampled.to(value.dtype)
