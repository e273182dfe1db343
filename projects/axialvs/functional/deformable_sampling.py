"""Multi-scale deformable sampling: mmcv's CUDA operator where it applies, else PyTorch.

Source: Deformable DETR (Zhu et al., 2021), Eq. 3. Levels run from low to high resolution.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor

from axialvs.operators import has_compiled_operators, missing_reason

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
        return 'torch', missing_reason()
    if dtype == torch.bfloat16:
        return 'mmcv', 'compiled CUDA operator, in float32'
    if dtype not in _OPERATOR_TYPES:
        return 'torch', f'the compiled operator does not take {dtype}'
    return 'mmcv', 'compiled CUDA operator'


def deformable_sampling(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
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
    # Measured on a CPU: one embedding_bag wins where only the result is wanted and a head is wide
    # enough to pay for the indices; its backward pass is slower than grid_sample's.
    needs_gradient = torch.is_grad_enabled() and any(
        x.requires_grad for x in (value, locations, weights)
    )
    if needs_gradient or value.shape[-1] < _MIN_HEAD_CHANNELS_FOR_BAG:
        return sample_with_grid(value, shapes, locations, weights)
    return sample_with_embedding_bag(value, shapes, locations, weights)


@functools.lru_cache(maxsize=16)
def _level_tensors(shapes: tuple[Shape, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Shapes (levels, 2) and start indices (levels,) for the operator; cached to spare a copy."""
    sizes = torch.tensor(shapes, dtype=torch.long)
    starts = torch.cat((sizes.new_zeros(1), sizes.prod(1).cumsum(0)[:-1]))
    return sizes.to(device), starts.to(device)


def _sample_with_operator(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    sizes, starts = _level_tensors(tuple(map(tuple, shapes)), value.device)
    dtype = value.dtype
    # float16 has not the range of bfloat16, so what the kernel does not take goes up, not across.
    value = value if dtype in _OPERATOR_TYPES else value.float()
    # The kernel asserts that its step divides the batch; the batch itself always does.
    step = value.shape[0]
    out = MultiScaleDeformableAttnFunction.apply(
        value.contiguous(), sizes, starts, locations.to(value.dtype), weights.to(value.dtype), step
    )
    return out.to(dtype)


def sample_with_grid(
    value: Tensor, shapes: Sequence[Shape], locations: Tensor, weights: Tensor
) -> Tensor:
    """The literal form, one `grid_sample` a level; arguments as in `deformable_sampling`."""
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
    """All levels, points and corners as one weighted `embedding_bag`, quicker on a CPU.

    Arguments and result as in `deformable_sampling`.
    """
    batch, num_values, heads, channels = value.shape
    num_queries = locations.shape[1]
    sizes, starts = _level_tensors(tuple(map(tuple, shapes)), value.device)
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
