"""Cross-clip tracking module: the queries of all clips of a video attend to each other."""

from torch import Tensor, nn

from axialvs.layers.temporal_aspp import TemporalASPP
from axialvs.layers.trajectory_attention import TrajectoryAttention


class ClipTrajectoryAttention(TrajectoryAttention):
    """Trajectory attention over clip queries (Axial-VS Eq. 5-6), with clips in place of frames.

    Args:
        channels: C.
        num_heads, scale, bias: see `TrajectoryAttention`.
        attention_dropout: dropout on the spatial attention weights.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        scale: float | None = None,
        bias: bool = True,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__(channels, num_heads, scale, bias, attention_dropout)
        for linear in (self.qkv, self.proj_q, self.proj_kv, self.proj):
            nn.init.xavier_uniform_(linear.weight)

    def _add_input_projections(self, channels: int, bias: bool) -> None:
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)

    def forward(self, queries: Tensor) -> Tensor:  # type: ignore[override]
        """Attend to the queries of each clip, then over the clips.

        Args:
            queries: (B, K, Q, C).

        Returns:
            (B, K, Q, C).
        """
        query, key, value = self.qkv(queries.flatten(1, 2)).chunk(3, dim=-1)
        return self.attend(query, key, value, num_frames=queries.shape[1]).view_as(queries)


class CrossClipLayer(nn.Module):
    """One block: trajectory attention, norm, Temporal-ASPP, norm (Axial-VS Fig. 5).

    Args:
        channels: C.
        aspp: arguments of `TemporalASPP`.
        attention: further arguments of `ClipTrajectoryAttention`.
    """

    def __init__(self, channels: int, aspp: dict | None = None, **attention) -> None:
        super().__init__()
        self.trajectory_attn = ClipTrajectoryAttention(channels, **attention)
        self.norm = nn.LayerNorm(channels)
        self.temporal_aspp = TemporalASPP(channels, **(aspp or {}))
        self.aspp_norm = nn.LayerNorm(channels)

    def forward(self, queries: Tensor) -> Tensor:
        """Refine the queries.

        Args:
            queries: (B, K, Q, C), aligned over clips.

        Returns:
            (B, K, Q, C).
        """
        queries = self.norm(queries + self.trajectory_attn(queries))
        batch, _, num_queries, _ = queries.shape
        sequences = queries.permute(0, 2, 3, 1).flatten(0, 1)  # BQ, C, K
        context = self.temporal_aspp(sequences).unflatten(0, (batch, num_queries))
        return self.aspp_norm(queries + context.permute(0, 3, 1, 2))


class CrossClipTracking(nn.Module):
    """The cross-clip tracking module (Axial-VS Sec. 3.3).

    Args:
        channels: C.
        num_layers: N_c; 4 in the paper.
        layer: further arguments of `CrossClipLayer`.

    Raises:
        ValueError: if `num_layers` is less than 1.
    """

    def __init__(self, channels: int, num_layers: int = 4, **layer) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f'num_layers is {num_layers}: must be at least 1')
        self.layers = nn.ModuleList(CrossClipLayer(channels, **layer) for _ in range(num_layers))
        self.clip_weight = nn.Linear(channels, 1)

    def forward(self, queries: Tensor) -> list[Tensor]:
        """Refine the queries block by block.

        Args:
            queries: (B, K, Q, C), aligned over clips.

        Returns:
            Output of each block, (B, K, Q, C).
        """
        refined = []
        for layer in self.layers:
            queries = layer(queries)
            refined.append(queries)
        return refined

    def pool_clips(self, features: Tensor) -> Tensor:
        """Average features over the clips with learned weights.

        Args:
            features: (B, K, Q, C).

        Returns:
            (B, Q, C).
        """
        return (self.clip_weight(features).softmax(dim=1) * features).sum(dim=1)
