"""The cross-clip tracking module: the queries of all clips of a video refine one another."""

import torch
from torch import Tensor, nn

from axialvs.functional.trajectory_attention import TrajectoryProjections, trajectory_attention
from axialvs.layers.temporal_aspp import TemporalASPP

# Trajectory points held at once outside of training: with K clips there are K * K * Q of them.
_POINT_BYTES = 16 * 2**20


class ClipTrajectoryAttention(nn.Module):
    """Trajectory attention of clip queries (Axial-VS Eq. 5-6): a clip is what a frame was.

    Every query looks for its like among the queries of each clip, then weighs the clips.

    Args:
        channels: C.
        num_heads: 8 as released; the paper's equations have one.
        scale: factor on the scores, (C / num_heads) ** -0.5 by default; the equations have 1.
        bias: whether the projections have biases, as released.
        attention_dropout: on the attention weights of the first step.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        scale: float | None = None,
        bias: bool = True,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f'channels ({channels}) must be a multiple of num_heads ({num_heads})')
        self.num_heads = num_heads
        self.scale = (channels // num_heads) ** -0.5 if scale is None else scale
        self.attention_dropout = attention_dropout
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.proj_q = nn.Linear(channels, channels, bias=bias)
        self.proj_kv = nn.Linear(channels, 2 * channels, bias=bias)
        self.proj = nn.Linear(channels, channels, bias=bias)
        for linear in (self.qkv, self.proj_q, self.proj_kv, self.proj):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, queries: Tensor) -> Tensor:
        """Args: `queries` (B, K, Q, C). Returns alike."""
        query, key, value = self.qkv(queries).chunk(3, dim=-1)
        key, value = key.flatten(1, 2), value.flatten(1, 2)
        attended = [
            self._attend(some, key, value) for some in query.split(self._queries_at_once(query), 2)
        ]
        return self.proj(torch.cat(attended, dim=2))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Queries (B, K, n, C) look at all keys (B, K * Q, C)."""
        projections = TrajectoryProjections(
            self.proj_q.weight, self.proj_q.bias, self.proj_kv.weight, self.proj_kv.bias
        )
        num_clips = query.shape[1]
        out = trajectory_attention(
            query.flatten(1, 2),
            key,
            value,
            projections,
            num_clips,
            self.num_heads,
            self.scale,
            self.attention_dropout if self.training else 0.0,
        )
        return out.unflatten(1, (num_clips, -1))

    @staticmethod
    def _queries_at_once(query: Tensor) -> int:
        """All of them in training, whose graph holds every point anyway."""
        batch, num_clips, num_queries, channels = query.shape
        if torch.is_grad_enabled():
            return num_queries
        bytes_per_query = batch * num_clips**2 * channels * query.element_size()
        return max(1, _POINT_BYTES // bytes_per_query)


class CrossClipLayer(nn.Module):
    """One block: trajectory attention, norm, Temporal-ASPP, norm (Axial-VS Fig. 5).

    Args:
        channels: C.
        num_heads, scale, bias, attention_dropout: as in `ClipTrajectoryAttention`.
        aspp: arguments of `TemporalASPP`.
    """

    def __init__(self, channels: int, aspp: dict | None = None, **attention) -> None:
        super().__init__()
        self.trajectory_attn = ClipTrajectoryAttention(channels, **attention)
        self.norm = nn.LayerNorm(channels)
        self.temporal_aspp = TemporalASPP(channels, **(aspp or {}))
        self.aspp_norm = nn.LayerNorm(channels)

    def forward(self, queries: Tensor) -> Tensor:
        """Args: `queries` (B, K, Q, C), aligned over clips. Returns alike."""
        queries = self.norm(queries + self.trajectory_attn(queries))
        batch, _, num_queries, _ = queries.shape
        paths = queries.permute(0, 2, 3, 1).flatten(0, 1)  # BQ, C, K
        context = self.temporal_aspp(paths).unflatten(0, (batch, num_queries)).permute(0, 3, 1, 2)
        return self.aspp_norm(queries + context)


class CrossClipTracking(nn.Module):
    """The cross-clip tracking module (Axial-VS Sec. 3.3).

    Args:
        channels: C.
        num_layers: N_c; 4 in the paper.
        layer: further arguments as in `CrossClipLayer`.
    """

    def __init__(self, channels: int, num_layers: int = 4, **layer) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f'num_layers is {num_layers}: at least 1')
        self.layers = nn.ModuleList(CrossClipLayer(channels, **layer) for _ in range(num_layers))
        self.clip_weight = nn.Linear(channels, 1)

    def forward(self, queries: Tensor) -> list[Tensor]:
        """Refines.

        Args:
            queries: (B, K, Q, C), aligned over clips.

        Returns:
            What each block makes of them, (B, K, Q, C).
        """
        refined = []
        for layer in self.layers:
            queries = layer(queries)
            refined.append(queries)
        return refined

    def pool_clips(self, features: Tensor) -> Tensor:
        """Averages clips by learnt weights: one feature says what an object is in all of them.

        Args:
            features: (B, K, Q, C).

        Returns:
            (B, Q, C).
        """
        return (self.clip_weight(features).softmax(dim=1) * features).sum(dim=1)
