"""Trajectory attention with its projections."""

from torch import Tensor, nn

from axialvs.functional.trajectory_attention import (
    TrajectoryProjections,
    TrajectorySpec,
    trajectory_attention,
)


class TrajectoryAttention(nn.Module):
    """Attention along the trajectories of tokens through T frames (Axial-VS Eq. 2-4).

    Args:
        channels: C.
        num_heads: 8 as released; 1 in the paper's equations.
        scale: factor on the scores, (C / num_heads) ** -0.5 by default; 1 in the equations.
        bias: whether the projections have biases, as released.
        attention_dropout: dropout on the spatial attention weights.

    Raises:
        ValueError: if `num_heads` does not divide `channels`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        scale: float | None = None,
        bias: bool = True,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f'channels ({channels}) must be a multiple of num_heads ({num_heads})')
        self.num_heads = num_heads
        self.scale = (channels // num_heads) ** -0.5 if scale is None else scale
        self.attention_dropout = attention_dropout
        self._add_input_projections(channels, bias)
        self.proj_q = nn.Linear(channels, channels, bias=bias)
        self.proj_kv = nn.Linear(channels, 2 * channels, bias=bias)
        self.proj = nn.Linear(channels, channels, bias=bias)

    def _add_input_projections(self, channels: int, bias: bool) -> None:
        self.q = nn.Linear(channels, channels, bias=bias)
        self.k = nn.Linear(channels, channels, bias=bias)
        self.v = nn.Linear(channels, channels, bias=bias)

    def forward(self, query_key: Tensor, value: Tensor, num_frames: int) -> Tensor:
        """Attend.

        Args:
            query_key, value: (B, T * n, C), ordered by frame.
            num_frames: T.

        Returns:
            (B, T * n, C).
        """
        return self.attend(self.q(query_key), self.k(query_key), self.v(value), num_frames)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, num_frames: int) -> Tensor:
        """Attend with projected inputs; shapes as in `forward`."""
        dropout_p = self.attention_dropout if self.training else 0.0
        spec = TrajectorySpec(num_frames, self.num_heads, self.scale, dropout_p)
        return self.proj(trajectory_attention(query, key, value, self.projections, spec))

    @property
    def projections(self) -> TrajectoryProjections:
        """Weights of temporal attention (Eq. 3)."""
        return TrajectoryProjections(
            self.proj_q.weight, self.proj_q.bias, self.proj_kv.weight, self.proj_kv.bias
        )
