"""Axial-trajectory attention on a feature map of a clip: along height, then along width."""

from torch import Tensor, nn

from axialvs.layers.trajectory_attention import TrajectoryAttention


class AxialTrajectoryLayer(nn.Module):
    """Height attention, width attention, norm, feed-forward, norm (Axial-VS Sec. 3.2, Fig. 3).

    Args:
        channels: C.
        num_heads: attention heads.
        feedforward_channels: width of the feed-forward network.
        dropout: on the result of each attention before it is added.
        ffn_dropout: inside the feed-forward network and on the attention weights; 0 as released.
        scale: factor on attention scores; see `TrajectoryAttention`.
        bias: whether attention projections have biases.
    """

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
        super().__init__()
        attention = dict(num_heads=num_heads, scale=scale, bias=bias, attention_dropout=ffn_dropout)
        self.height_attn = TrajectoryAttention(channels, **attention)
        self.width_attn = TrajectoryAttention(channels, **attention)
        self.dropout = nn.Dropout(dropout)
        self.norm1 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, feedforward_channels)
        self.linear2 = nn.Linear(feedforward_channels, channels)
        self.activation = nn.ReLU(inplace=True)
        self.ffn_dropout = nn.Dropout(ffn_dropout)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, features: Tensor, position: Tensor) -> Tensor:
        """Tracks along height, then width.

        Args:
            features: (B, T, H, W, C).
            position: encoding, broadcastable to (B, T, H, W, C).

        Returns:
            (B, T, H, W, C).
        """
        position = position.expand_as(features)
        features = features + self.dropout(self._along_height(features, position))
        features = features + self.dropout(self._along_width(features, position))
        features = self.norm1(features)
        hidden = self.ffn_dropout(self.activation(self.linear1(features)))
        return self.norm2(features + self.ffn_dropout(self.linear2(hidden)))

    def _along_height(self, features: Tensor, position: Tensor) -> Tensor:
        columns = features.permute(0, 3, 1, 2, 4)  # B, W, T, H, C
        out = self._attend(self.height_attn, columns, position.permute(0, 3, 1, 2, 4))
        return out.permute(0, 2, 3, 1, 4)

    def _along_width(self, features: Tensor, position: Tensor) -> Tensor:
        rows = features.transpose(1, 2)  # B, H, T, W, C
        return self._attend(self.width_attn, rows, position.transpose(1, 2)).transpose(1, 2)

    @staticmethod
    def _attend(attention: TrajectoryAttention, lines: Tensor, position: Tensor) -> Tensor:
        """One attention over (B, lines, T, n, C); the lines are independent of one another."""
        sequences = lines.flatten(0, 1).flatten(1, 2)
        positions = position.flatten(0, 1).flatten(1, 2)
        out = attention(sequences + positions, sequences, num_frames=lines.shape[2])
        return out.view(lines.shape)


class AxialTrajectoryEncoder(nn.Module):
    """A stack of layers; arguments beyond `num_layers` as in `AxialTrajectoryLayer`."""

    def __init__(self, channels: int, num_layers: int = 1, **layer) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            AxialTrajectoryLayer(channels, **layer) for _ in range(num_layers)
        )

    def forward(self, features: Tensor, position: Tensor) -> Tensor:
        """Args: `features` (B, T, H, W, C), `position` broadcastable to it. Returns alike."""
        for layer in self.layers:
            features = layer(features, position)
        return features
