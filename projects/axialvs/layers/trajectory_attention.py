"""Trajectory attention as a module with its projections."""

from torch import Tensor, nn

from axialvs.functional.trajectory_attention import TrajectoryProjections, trajectory_attention


class TrajectoryAttention(nn.Module):
    """Attention along the paths of tokens through T frames (Axial-VS Eq. 2-4).

    Args:
        channels: C.
        num_heads: 8 as released; the paper's equations have one.
        scale: factor on the scores, C / num_heads to the power -0.5 by default; the equations have
            1.
        bias: whether the projections have biases, as released.
        attention_dropout: dropout on the first step's attention weights.
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
        self.q = nn.Linear(channels, channels, bias=bias)
        self.k = nn.Linear(channels, channels, bias=bias)
        self.v = nn.Linear(channels, channels, bias=bias)
        self.proj_q = nn.Linear(channels, channels, bias=bias)
        self.proj_kv = nn.Linear(channels, 2 * channels, bias=bias)
        self.proj = nn.Linear(channels, channels, bias=bias)

    def forward(self, query_key: Tensor, value: Tensor, num_frames: int) -> Tensor:
        """Args: `query_key` and `value` (B, T * n, C), frame by frame. Returns (B, T * n, C)."""
        out = trajectory_attention(
            self.q(query_key),
            self.k(query_key),
            self.v(value),
            self.projections,
            num_frames,
            self.num_heads,
            self.scale,
            self.attention_dropout if self.training else 0.0,
        )
        return self.proj(out)

    @property
    def projections(self) -> TrajectoryProjections:
        """Weights of the second step (Eq. 3)."""
        return TrajectoryProjections(
            self.proj_q.weight, self.proj_q.bias, self.proj_kv.weight, self.proj_kv.bias
        )
