"""Multi-scale deformable sampling: mmcv's CUDA operator where it applies, else PyTorch.

Source: Deformable DETR (Zhu et al., 2021), Eq. 3. Levels run from low to high resolution.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor

from axialvs.operators import INSTALL_HINT, has_compiled_operators

Shape = tuple[int, int]

_MIN_HEAD_CHANNELS_FOR_BAG = 32

# The types that mmcv's CUDA kernel is compiled for.
_OPERATOR_TYPES = (torch.float32, torch.float16)


@functools.cache
def _log_backend(backend: str, reason: str) -> None:
    """Says once for each reason which form runs."""
    MMLogger.get_current_instance().info(f'deformable sampling: {backend} ({reason})')


def choose_backend(device_type: str, dtype: torch.dtype) -> tuple[str, str]:
    """Which form of the sampling runs for values of this device and type, and why.

    Returns:
        `('mmcv' | 'torch', reason)`.
    """
    if device_type != 'cuda':
        return 'torch', f'device is {device_type}'
    if not has_compiled_operators():
        return 'torch', INSTALL_HINT
    if dtype not in _OPERATOR_TYPES:
        return 'torch', f'the compiled operator does not take {dtype}'
    return 'mmcv', 'compiled CUDA operator'


def deformable_sampling(value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of bilinear samples from several feature maps.

    Args:
        value: (B, sum of H_l W_l, h, d), maps flattened row by row, one level after the other.
        shapes: (H_l, W_l) of each level, as Python ints.
        locations: (B, N, h, levels, points, 2), x and y in units of the map's size, 0 to 1 inside.
        weights: (B, N, h, levels, points).

    Returns:
        (B, N, h * d).
    """
    backend, reason = choose_backend(value.device.type, value.dtype)
    if not torch.compiler.is_compiling():
        _log_backend(backend, reason)
    if backend == 'mmcv':
        return _sample_with_operator(value, shapes, locations, weights)
    # Measured on a CPU: one embedding_bag wins where only the result is wanted and a head is wide enough to
    # pay for the indices; its backward pass is slower than grid_sample's.
    needs_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (value, locations, weights))
    if needs_gradient or value.shape[-1] < _MIN_HEAD_CHANNELS_FOR_BAG:
        return sample_with_grid(value, shapes, locations, weights)
    return sample_with_embedding_bag(value, shapes, locations, weights)


@functools.lru_cache(maxsize=16)
def _level_tensors(shapes: tuple[Shape, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Shapes (levels, 2) and start indices (levels,) as the operator wants them; cached to spare a copy."""
    sizes = torch.tensor(shapes, dtype=torch.long)
    starts = torch.cat((sizes.new_zeros(1), sizes.prod(1).cumsum(0)[:-1]))
    return sizes.to(device), starts.to(device)


def _sample_with_operator(value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    sizes, starts = _level_tensors(tuple(map(tuple, shapes)), value.device)
    # The kernel asserts that its step divides the batch; the batch itself always does.
    step = value.shape[0]
    return MultiScaleDeformableAttnFunction.apply(
        value.contiguous(), sizes, starts, locations.to(value.dtype), weights.to(value.dtype), step
    )


def sample_with_grid(value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor) -> Tensor:
    """The literal form: one `grid_sample` a level. Arguments and result as in `deformable_sampling`."""
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


def sample_with_embedding_bag(value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor) -> Tensor:
    """All levels, points and corners as one weighted `embedding_bag`; faster than `grid_sample` on a CPU.

    Arguments and result as in `deformable_sampling`.
    """
    batch, num_values, heads, channels = value.shape
    num_queries = locations.shape[1]
    indices, corner_weights = _corners(shapes, locations)
    bag_weights = (corner_weights * weights.unsqueeze(-1)).flatten(-3)  # B, N, h, levels * points * 4
    # Row of (b, position, head) in the value table.
    batch_offset = torch.arange(batch, device=value.device).view(-1, 1, 1, 1) * (num_values * heads)
    head_offset = torch.arange(heads, device=value.device).view(1, 1, -1, 1)
    rows = indices.flatten(-3) * heads + head_offset + batch_offset
    bags = F.embedding_bag(
        rows.flatten(0, 2),
        value.reshape(-1, channels),
        mode='sum',
        per_sample_weights=bag_weights.flatten(0, 2).to(value.dtype),
    )
    return bags.view(batch, num_queries, heads * channels)


def _corners(shapes: Sequence[Shape], locations: Tensor) -> tuple[Tensor, Tensor]:
    """Position and bilinear weight of the four neighbours of each sampling location.

    Returns:
        Positions in the flattened levels and weights, both (B, N, h, levels, points, 4); a neighbour
        outside of its map has weight 0 and some valid position.
    """
    device = locations.device
    sizes, starts = _level_tensors(tuple(map(tuple, shapes)), device)
    wh = sizes.flip(1)[:, None].to(locations.dtype)  # levels, 1, 2
    pixel = locations * wh - 0.5
    low = pixel.detach().floor()
    fraction = pixel - low  # x, y
    x, y = low.long().unbind(-1)
    fx, fy = fraction.unbind(-1)
    height, width = sizes[:, 0, None], sizes[:, 1, None]
    positions, corner_weights = [], []
    for dy, weight_y in ((0, 1 - fy), (1, fy)):
        row = y + dy
        row_inside = (row >= 0) & (row < height)
        row_start = row.clamp(min=0).minimum(height - 1) * width + starts[:, None]
        for dx, weight_x in ((0, 1 - fx), (1, fx)):
            column = x + dx
            inside = row_inside & (column >= 0) & (column < width)
            positions.append(row_start + column.clamp(min=0).minimum(width - 1))
            corner_weights.append(weight_x * weight_y * inside)
    return torch.stack(positions, -1), torch.stack(corner_weights, -1)
