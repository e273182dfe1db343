"""Tensors that follow from the shape of a map alone, kept for the shapes last seen."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

import torch
from torch import Tensor, nn


class ShapeCache:
    """Remembers what a function made of a shape and a device.

    Under a compiler the function is traced instead: kept tensors would be inputs of the graph, and
    a graph whose first run fills the cache would be compiled again for the second.

    Args:
        build: `(shape, device) -> tensor or tuple of tensors`; needs no gradients.
        num_kept: shapes kept; multi-scale training goes through many.
    """

    def __init__(self, build: Callable, num_kept: int = 6) -> None:
        self._build = build
        self.num_kept = num_kept
        self._kept: OrderedDict[tuple, Tensor | tuple[Tensor, ...]] = OrderedDict()

    def __call__(self, shape: Hashable, device: torch.device) -> Tensor | tuple[Tensor, ...]:
        """Args: `shape`, of one map or of several. Returns what the function makes of it."""
        if torch.compiler.is_compiling():
            with torch.no_grad():
                return self._build(shape, device)
        key = (shape, device)
        if key not in self._kept:
            # What is made in inference mode could not take part in a training step later.
            with torch.inference_mode(False), torch.no_grad():
                self._kept[key] = self._build(shape, device)
            if len(self._kept) > self.num_kept:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


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
