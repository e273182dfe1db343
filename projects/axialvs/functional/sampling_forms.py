"""Multi-scale deformable sampling in PyTorch: the literal form, and one that is quicker on a CPU.

Arguments and result of both are those of `axialvs.functional.deformable_sampling`.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

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
