"""Axial-trajectory attention: trajectory attention along the height, then along the width."""

from torch import Tensor

from axialvs.layers.temporal.base import TemporalLayer
from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.registry import TEMPORAL_LAYERS


@TEMPORAL_LAYERS.register_module(name='AxialTrajectory')
class AxialTrajectoryLayer(TemporalLayer):
    """Axial-trajectory attention (Axial-VS Sec. 3.2, Fig. 3).

    Args:
        channels: C.
        num_heads: attention heads.
        feedforward_channels, dropout: see `TemporalLayer`.
        ffn_dropout: dropout inside the feed-forward network and on the attention weights; 0 as
            released.
        scale: factor on the attention scores; see `TrajectoryAttention`.
        bias: whether the attention projections have biases.
    """

    height_attn: TrajectoryAttention
    width_attn: TrajectoryAttention

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        feedforward_channels: int = 1024,
        dropout: float = 0.1,
        ffn_dropout: float = 0.0,
        scale: float | None = None,
        bias: bool = True,
    ) -> None:
        attentions = {
            name: TrajectoryAttention(channels, num_heads, scale, bias, ffn_dropout)
            for name in ('height_attn', 'width_attn')
        }
        super().__init__(channels, attentions, feedforward_channels, dropout, ffn_dropout)

    def attend(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend along the height, then along the width."""
        features = features + self.dropout(self._along_height(features, position))
        return features + self.dropout(self._along_width(features, position))

    def _along_height(self, features: Tensor, position: Tensor) -> Tensor:
        columns = features.permute(0, 3, 1, 2, 4)  # B, W, T, H, C
        out = _attend(self.height_attn, columns, position.permute(0, 3, 1, 2, 4))
        return out.permute(0, 2, 3, 1, 4)

    def _along_width(self, features: Tensor, position: Tensor) -> Tensor:
        rows = features.transpose(1, 2)  # B, H, T, W, C
        return _attend(self.width_attn, rows, position.transpose(1, 2)).transpose(1, 2)


@TEMPORAL_LAYERS.register_module(name='Trajectory')
class TrajectoryLayer(TemporalLayer):
    """Trajectory attention over whole frames (Patrick et al., 2021), not split into axes.

    Args:
        channels, num_heads, feedforward_channels, dropout, ffn_dropout, scale, bias: see
            `AxialTrajectoryLayer`.
    """

    trajectory_attn: TrajectoryAttention

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        feedforward_channels: int = 1024,
        dropout: float = 0.1,
        ffn_dropout: float = 0.0,
        scale: float | None = None,
        bias: bool = True,
    ) -> None:
        attention = TrajectoryAttention(channels, num_heads, scale, bias, ffn_dropout)
        super().__init__(
            channels, dict(trajectory_attn=attention), feedforward_channels, dropout, ffn_dropout
        )

    def attend(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend from each token to all tokens of each frame, then along its trajectory."""
        frames, position = features.flatten(2, 3)[:, None], position.flatten(2, 3)[:, None]
        out = _attend(self.trajectory_attn, frames, position)
        return features + self.dropout(out.view_as(features))


def _attend(attention: TrajectoryAttention, lines: Tensor, position: Tensor) -> Tensor:
    """Attend within each line independently; shapes are (B, lines, T, n, C)."""
    sequences = lines.flatten(0, 1).flatten(1, 2)
    positions = position.flatten(0, 1).flatten(1, 2)
    out = attention(sequences + positions, sequences, num_frames=lines.shape[2])
    return out.view(lines.shape)
