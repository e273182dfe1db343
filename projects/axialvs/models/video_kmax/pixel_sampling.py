"""Random subsets of a clip's pixels that favor small segments."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Lower than any score of a labeled pixel, so void pixels are only drawn if no others are left.
_VOID_SCORE = -99999.0


def sample_pixels(
    segments: Tensor,
    areas: Tensor,
    num_pixels: int,
    area_exponent: float,
    uniform: Tensor | None = None,
) -> Tensor:
    """Draw pixels without replacement by Gumbel top-k; a pixel's weight is area ** -exponent.

    Args:
        segments: (P,) segment index of each pixel, -1 for void.
        areas: (n,) pixels of each segment.
        num_pixels: K; all P pixels are returned if P < K.
        area_exponent: 0 draws pixels uniformly, 1 gives every segment the same weight.
        uniform: (P,) random numbers in (0, 1); drawn if None.

    Returns:
        (min(K, P),) pixel indices.
    """
    scores = -area_exponent * areas.float().clamp(min=1).log()
    scores = F.pad(scores, (0, 1), value=_VOID_SCORE)[segments]  # index -1 is the last entry
    if uniform is None:
        uniform = torch.rand_like(scores)
    gumbel = -(-uniform.log()).log()
    return (scores + gumbel).topk(min(num_pixels, len(scores)), sorted=False).indices


def gather_pixels(features: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate features bilinearly at some pixels of a finer grid.

    Resizing whole feature maps for a few thousand sampled pixels would dominate the memory of the
    losses. Corners are aligned if the target width is odd, as everywhere in kMaX-DeepLab.

    Args:
        features: (C, T, h, w).
        indices: (K,) flat indices into the fine grid (T, H, W).
        size: (H, W) of the fine grid.

    Returns:
        (K, C) float32.
    """
    flat = features.flatten(1)
    if tuple(features.shape[-2:]) == tuple(size):
        return flat[:, indices].T.float()
    height, width = size
    frames, rows, columns = (
        indices // (height * width),
        indices // width % height,
        indices % width,
    )
    aligned = width % 2 == 1
    row_taps = _neighbors(rows, height, features.shape[2], aligned)
    column_taps = _neighbors(columns, width, features.shape[3], aligned)
    gathered = flat.new_zeros(len(indices), len(flat), dtype=torch.float32)
    for row, row_weight in row_taps:
        for column, column_weight in column_taps:
            taps = flat[:, (frames * features.shape[2] + row) * features.shape[3] + column]
            gathered = gathered + taps.T.float() * (row_weight * column_weight)[:, None]
    return gathered


def _neighbors(
    positions: Tensor, fine: int, coarse: int, aligned: bool
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the two coarse cells around each fine position along one axis, and their weights."""
    if aligned:
        centers = positions * ((coarse - 1) / max(fine - 1, 1))
    else:
        centers = ((positions + 0.5) * (coarse / fine) - 0.5).clamp(min=0)
    low = centers.long().clamp(max=coarse - 1)
    weight = centers - low
    return (low, 1 - weight), ((low + 1).clamp(max=coarse - 1), weight)
