"""Cross-clip tracking of Axial-VS: the queries of all clips attend to each other."""

from torch import Tensor, nn

from axialvs.layers.attention import SelfAttention
from axialvs.layers.cross_clip.base import CrossClipModule
from axialvs.layers.temporal_aspp import TemporalASPP
from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.registry import CROSS_CLIP_DESIGNS


class ClipTrajectoryAttention(TrajectoryAttention):
    """Trajectory attention over clip queries (Axial-VS Eq. 5-6), with clips as frames.

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
        """Attend to the queries of each clip, then across clips.

        Args:
            queries: (B, K, Q, C).

        Returns:
            (B, K, Q, C).
        """
        query, key, value = self.qkv(queries.flatten(1, 2)).chunk(3, dim=-1)
        return self.attend(query, key, value, num_frames=queries.shape[1]).view_as(queries)


class ClipSelfAttention(SelfAttention):
    """Joint self-attention over the queries of all clips, the baseline in Table 6.

    Args:
        channels, num_heads, attention_dropout: see `SelfAttention`.
    """

    def __init__(self, channels: int, num_heads: int = 8, attention_dropout: float = 0.1) -> None:
        super().__init__(channels, num_heads, attention_dropout)

    def forward(self, queries: Tensor) -> Tensor:  # type: ignore[override]
        """Attend: (B, K, Q, C) -> (B, K, Q, C)."""
        tokens = queries.flatten(1, 2)
        return super().forward(tokens, tokens).view_as(queries)


class CrossClipLayer(nn.Module):
    """One block: attention, norm, Temporal-ASPP, norm (Axial-VS Fig. 5).

    Args:
        channels: C.
        aspp: arguments of `TemporalASPP`; `type='none'` omits it and its norm.
        attention: further arguments of the attention.
    """

    attention_name = 'trajectory_attn'
    attention_class: type[nn.Module] = ClipTrajectoryAttention

    def __init__(self, channels: int, aspp: dict | None = None, **attention) -> None:
        super().__init__()
        self.add_module(self.attention_name, self.attention_class(channels, **attention))
        self.norm = nn.LayerNorm(channels)
        self.temporal_aspp = None
        if aspp is None or aspp.get('type') != 'none':
            self.temporal_aspp = TemporalASPP(channels, **(aspp or {}))
            self.aspp_norm = nn.LayerNorm(channels)

    def forward(self, queries: Tensor) -> Tensor:
        """Refine the queries.

        Args:
            queries: (B, K, Q, C), aligned over clips.

        Returns:
            (B, K, Q, C).
        """
        queries = self.norm(queries + self.get_submodule(self.attention_name)(queries))
        if self.temporal_aspp is None:
            return queries
        batch, _, num_queries, _ = queries.shape
        sequences = queries.permute(0, 2, 3, 1).flatten(0, 1)  # BQ, C, K
        context = self.temporal_aspp(sequences).unflatten(0, (batch, num_queries))
        return self.aspp_norm(queries + context.permute(0, 3, 1, 2))


class SelfAttentionLayer(CrossClipLayer):
    """`CrossClipLayer` with self-attention instead of trajectory attention."""

    attention_name = 'self_attn'
    attention_class = ClipSelfAttention


@CROSS_CLIP_DESIGNS.register_module(name='Trajectory')
class CrossClipTracking(CrossClipModule):
    """The cross-clip tracking module (Axial-VS Sec. 3.3).

    Args:
        channels: C.
        num_layers: N_c; 4 in the paper.
        layer: further arguments of `CrossClipLayer`.

    Raises:
        ValueError: if `num_layers` is less than 1.
    """

    layer_class: type[CrossClipLayer] = CrossClipLayer

    def __init__(self, channels: int, num_layers: int = 4, **layer) -> None:
        if num_layers < 1:
            raise ValueError(f'num_layers is {num_layers}: must be at least 1')
        super().__init__(channels, (self.layer_class(channels, **layer) for _ in range(num_layers)))


@CROSS_CLIP_DESIGNS.register_module(name='SelfAttention')
class CrossClipSelfAttention(CrossClipTracking):
    """Cross-clip tracking with self-attention instead of trajectory attention (Table 6a)."""

    layer_class = SelfAttentionLayer
