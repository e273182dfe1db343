"""Base class of cross-clip designs: a stack of blocks, and temporal pooling over clips."""

from collections.abc import Iterable

from torch import Tensor, nn

from axialvs.registry import CROSS_CLIP_DESIGNS


@CROSS_CLIP_DESIGNS.register_module(name='none')
class CrossClipModule(nn.Module):
    """Stack of blocks over the queries of all clips; the identity if there are no blocks.

    Args:
        channels: C.
        layers: blocks, (B, K, Q, C) -> (B, K, Q, C).
    """

    # Whether output query i represents the same object as input query i.
    keeps_queries: bool = True

    def __init__(self, channels: int, layers: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.clip_weight = nn.Linear(channels, 1)

    def forward(self, queries: Tensor) -> list[Tensor]:
        """Refine the queries block by block.

        Args:
            queries: (B, K, Q, C), aligned over clips.

        Returns:
            Output of each block, (B, K, Q, C); the input queries if there are no blocks.
        """
        refined = []
        for layer in self.layers:
            queries = layer(queries)
            refined.append(queries)
        return refined or [queries]

    def pool_clips(self, features: Tensor) -> Tensor:
        """Average features over the clips with learned weights.

        Args:
            features: (B, K, Q, C).

        Returns:
            (B, Q, C).
        """
        return (self.clip_weight(features).softmax(dim=1) * features).sum(dim=1)
