"""mmdet's sine position encodings for maps without padding, kept for the sizes last seen."""

import torch
from torch import Tensor, nn

from axialvs.layers.shape_cache import ShapeCache


class CachedPositionEncoding(nn.Module):
    """Encodes whole maps by their shape; a size that was seen lately costs nothing.

    Args:
        encoding: mmdet's `SinePositionalEncoding` or `SinePositionalEncoding3D`: it has no
            parameters and takes a padding mask, which is always empty here.
        num_kept: sizes kept, see `ShapeCache`.
    """

    def __init__(self, encoding: nn.Module, num_kept: int = 6) -> None:
        super().__init__()
        self.encoding = encoding
        self._kept = ShapeCache(self._encode, num_kept)

    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Args: `shape` (H, W) or (T, H, W). Returns (1, H, W, C) or (1, T, H, W, C)."""
        return self._kept(shape, device)

    def _encode(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        encoded = self.encoding(torch.zeros((1, *shape), dtype=torch.bool, device=device))
        return encoded.movedim(-3, -1).contiguous()
