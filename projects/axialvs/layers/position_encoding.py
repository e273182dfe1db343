"""Position encodings and other tensors that only depend on the shape of a feature map."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

S = TypeVar('S', bound=Hashable)


class ShapeCache(Generic[S]):
    """LRU cache of tensors, keyed by (shape, device).

    Bypassed under a compiler: cached tensors would become inputs of the graph, and a graph whose
    first run fills the cache would be recompiled for the second.

    Args:
        build: `(shape, device) -> tensor`; must not need gradients.
        num_kept: maximum number of shapes; multi-scale training has many.
    """

    def __init__(self, build: Callable[[S, torch.device], Tensor], num_kept: int = 6) -> None:
        self._build = build
        self.num_kept = num_kept
        self._kept: OrderedDict[tuple[S, torch.device], Tensor] = OrderedDict()

    def __call__(self, shape: S, device: torch.device) -> Tensor:
        """Return the tensor for the shape of one map or of several maps."""
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
    """Position encoding of unpadded feature maps, cached by shape.

    Args:
        encoding: mmdet's `SinePositionalEncoding` or `SinePositionalEncoding3D`, or another module
            without parameters that takes a padding mask, which is always empty here.
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
            device: device of the result.

        Returns:
            (1, H, W, C) or (1, T, H, W, C).
        """
        return self._cache(shape, device)

    def _encode(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        encoded = self.encoding(torch.zeros((1, *shape), dtype=torch.bool, device=device))
        return encoded.movedim(-3, -1).contiguous()


def level_encodings(
    encoding: CachedPositionEncoding,
    level_embedding: nn.Embedding,
    shapes: Sequence[tuple[int, ...]],
) -> list[Tensor]:
    """Encode the positions of several feature levels, each with its own embedding.

    Args:
        encoding: position encoding.
        level_embedding: (levels, C).
        shapes: (H_l, W_l) or (T, H_l, W_l) of each level.

    Returns:
        (1, H_l, W_l, C) or (1, T, H_l, W_l, C) for each level.
    """
    weight = level_embedding.weight
    return [encoding(shape, weight.device) + weight[i] for i, shape in enumerate(shapes)]


def cell_centers(shapes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Compute the reference points of deformable attention: the centers of the cells.

    Args:
        shapes: (H_l, W_l) of each level.
        device: device of the result.

    Returns:
        (1, N, levels, 2), the same x and y between 0 and 1 for all levels.
    """
    centers = []
    for height, width in shapes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)
        centers.append(grid.flatten(0, 1))
    return torch.cat(centers)[None, :, None].expand(-1, -1, len(shapes), -1)
