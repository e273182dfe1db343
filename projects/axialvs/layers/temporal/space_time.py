"""Baseline space-time attentions of Axial-VS (Table 4): joint, divided, windowed."""

import torch.nn.functional as F
from torch import Tensor

from axialvs.layers.attention import SelfAttention
from axialvs.layers.temporal.base import TemporalLayer
from axialvs.registry import TEMPORAL_LAYERS


@TEMPORAL_LAYERS.register_module(name='JointSpaceTime')
class JointSpaceTimeLayer(TemporalLayer):
    """Self-attention over all tokens of all frames (Vaswani et al., 2017).

    Args:
        channels: C.
        num_heads: attention heads.
        feedforward_channels, dropout: see `TemporalLayer`.
        ffn_dropout: dropout inside the feed-forward network and on the attention weights.
    """

    attn: SelfAttention

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        feedforward_channels: int = 1024,
        dropout: float = 0.1,
        ffn_dropout: float = 0.0,
    ) -> None:
        attention = SelfAttention(channels, num_heads, ffn_dropout)
        super().__init__(channels, dict(attn=attention), feedforward_channels, dropout, ffn_dropout)

    def attend(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend to all tokens of the clip."""
        tokens = features.flatten(1, 3)
        out = self.attn(tokens + position.flatten(1, 3), tokens)
        return features + self.dropout(out.view_as(features))


@TEMPORAL_LAYERS.register_module(name='DividedSpaceTime')
class DividedSpaceTimeLayer(TemporalLayer):
    """Attention over time at each position, then within each frame (Bertasius et al., 2021).

    Args:
        channels, num_heads, feedforward_channels, dropout, ffn_dropout: see `JointSpaceTimeLayer`.
    """

    time_attn: SelfAttention
    space_attn: SelfAttention

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        feedforward_channels: int = 1024,
        dropout: float = 0.1,
        ffn_dropout: float = 0.0,
    ) -> None:
        attentions = {
            name: SelfAttention(channels, num_heads, ffn_dropout)
            for name in ('time_attn', 'space_attn')
        }
        super().__init__(channels, attentions, feedforward_channels, dropout, ffn_dropout)

    def attend(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend over time, then over space."""
        batch, _, height, width, _ = features.shape

        def by_position(x: Tensor) -> Tensor:
            return x.permute(0, 2, 3, 1, 4).flatten(0, 2)  # B H W, T, C

        def by_frame(x: Tensor) -> Tensor:
            return x.flatten(0, 1).flatten(1, 2)  # B T, H W, C

        tokens = by_position(features)
        out = self.time_attn(tokens + by_position(position), tokens)
        out = out.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2, 4)
        features = features + self.dropout(out)
        tokens = by_frame(features)
        out = self.space_attn(tokens + by_frame(position), tokens)
        return features + self.dropout(out.view(features.shape))


@TEMPORAL_LAYERS.register_module(name='WindowSpaceTime')
class WindowSpaceTimeLayer(TemporalLayer):
    """Self-attention within spatial windows over all frames (TarViS; Athar et al., 2023).

    Maps are padded at the bottom and right to a multiple of the window size; padding is masked.

    Args:
        channels, num_heads, feedforward_channels, dropout, ffn_dropout: see `JointSpaceTimeLayer`.
        window_size: height and width of a window, in cells.
    """

    attn: SelfAttention

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        feedforward_channels: int = 1024,
        dropout: float = 0.1,
        ffn_dropout: float = 0.0,
        window_size: int = 8,
    ) -> None:
        attention = SelfAttention(channels, num_heads, ffn_dropout)
        super().__init__(channels, dict(attn=attention), feedforward_channels, dropout, ffn_dropout)
        self.window_size = window_size

    def attend(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend within each window."""
        batch, frames, height, width, channels = features.shape
        size = self.window_size
        rows, columns = -(-height // size), -(-width // size)
        padding = (0, 0, 0, columns * size - width, 0, rows * size - height)

        def windows(x: Tensor) -> Tensor:
            """Reshape (b, T, H, W, c) to (b * rows * columns, T * size * size, c)."""
            x = F.pad(x, padding).unflatten(3, (columns, size)).unflatten(2, (rows, size))
            return x.permute(0, 2, 4, 1, 3, 5, 6).flatten(0, 2).flatten(1, 3)

        mask = None
        if any(padding):
            inside = features.new_ones(1, frames, height, width, 1)
            mask = windows(inside).bool().view(1, rows * columns, 1, 1, -1)
            mask = mask.expand(batch, -1, -1, -1, -1).flatten(0, 1)
        tokens = windows(features)
        out = self.attn(tokens + windows(position), tokens, mask)
        out = out.view(batch, rows, columns, frames, size, size, channels)
        out = out.permute(0, 3, 1, 4, 2, 5, 6).flatten(4, 5).flatten(2, 3)
        return features + self.dropout(out[:, :, :height, :width])
