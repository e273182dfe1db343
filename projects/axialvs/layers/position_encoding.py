"""mmdet's sine position encodings for maps without padding, kept for the sizes last seen."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


class CachedPositionEncoding(nn.Module):
    """Encodes whole maps by their shape; a size that was seen lately costs nothing.

    Args:
        encoding: mmdet's `SinePositionalEncoding` or `SinePositionalEncoding3D`: it has no
            parameters and takes a padding mask, which is always empty here.
        num_kept: sizes kept; multi-scale training goes through many.
    """

    def __init__(self, encoding: nn.Module, num_kept: int = 6) -> None:
        super().__init__()
        self.encoding = encoding
        self.num_kept = num_kept
        self._kept: OrderedDict[tuple, Tensor] = OrderedDict()

    @torch.no_grad()
    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Args: `shape` (H, W) or (T, H, W). Returns (1, H, W, C) or (1, T, H, W, C)."""
        key = (*shape, device)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        encoded = self.encoding(torch.zeros((1, *shape), dtype=torch.bool, device=device))
        encoded = encoded.movedim(-3, -1).contiguous()
        self._kept[key] = encoded
        if len(self._kept) > self.num_kept:
            self._kept.popitem(last=False)
        return encoded
