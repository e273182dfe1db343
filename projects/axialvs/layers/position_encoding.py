"""Position encodings and other tensors that depend on the shape of a map only."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

S = TypeVar('S', bound=Hashable)


class ShapeCache(Generic[S]):
    """LRU cache of a tensor, keyed by (shape, device).

    Bypassed under a compiler: cached tensors would be inputs of the graph, and a graph whose first
    run fills the cache would be compiled again for the second.

    Args:
        build: `(shape, device) -> tensor`; needs no gradients.
        num_kept: shapes kept; multi-scale training has many.
    """

    def __init__(self, build: Callable[[S, torch.device], Tensor], num_kept: int = 6) -> None:
        self._build = build
        self.num_kept = num_kept
        self._kept: OrderedDict[tuple[S, torch.device], Tensor] = OrderedDict()

    def __call__(self, shape: S, device: torch.device) -> Tensor:
        """Return the tensor for a shape, of one map or of several."""
        if torch.compiler.is_compiling():
            with torch.no_grad():
                return self._build(shape, device)
        key = (shape, device)
        if key not in self._kept:
            # Tensors created in inference mode cannot be used in a training step later.
            with torch.inference_mode(False), torch.no_grad():
                self._kept[key] = self._build(shape, device)
            if len(self._kept) > self.num_kept:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class CachedPositionEncoding(nn.Module):
    """Position encoding of whole maps, cached by their shape.

    Args:
        encoding: mmdet's `SinePositionalEncoding` or `SinePositionalEncoding3D`; without parameters
            and called with a padding mask, which is always empty here.
        num_kept: see `ShapeCache`.
    """

    def __init__(self, encoding: nn.Module, num_kept: int = 6) -> None:
        super().__init__()
        self.encoding = encoding
        self._cache: ShapeCache[tuple[int, ...]] = ShapeCache(self._encode, num_kept)

    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Encode a map.

        Args:
            shape: (H, W) or (T, H, W).
            device: of the result.

        Returns:
            (1, H, W, C) or (1, T, H, W, C).
        """
        return self._cache(shape, device)

    def _encode(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        encoded = self.encoding(torch.zeros((1, *shape), dtype=torch.bool, device=device))
        return encoded.movedim(-3, -1).contiguous()
