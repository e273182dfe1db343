"""VITA's design: video queries with a decoder over the clip queries (Heo et al., 2022)."""

import torch.nn.functional as F
from torch import Tensor, nn

from axialvs.layers.attention import SelfAttention
from axialvs.layers.cross_clip.base import CrossClipModule
from axialvs.registry import CROSS_CLIP_DESIGNS


class FeedForward(nn.Sequential):
    """Two linear layers around a ReLU.

    Args:
        channels: C.
        hidden_channels: channels between the linear layers.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__(
            nn.Linear(channels, hidden_channels), nn.ReLU(), nn.Linear(hidden_channels, channels)
        )


class WindowEncoderLayer(nn.Module):
    """Self-attention over the queries of neighboring clips, then a feed-forward network.

    Args:
        channels: C.
        num_heads: attention heads.
        feedforward_channels: width of the feed-forward network.
        window: number of clips that attend to each other.
        shift: number of clips by which the windows are shifted.
    """

    def __init__(
        self, channels: int, num_heads: int, feedforward_channels: int, window: int, shift: int
    ) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.attn = SelfAttention(channels, num_heads)
        self.norm1 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, feedforward_channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, queries: Tensor) -> Tensor:
        """Attend within windows: (B, K, Q, C) -> (B, K, Q, C); missing clips are masked."""
        batch, clips, count, _ = queries.shape
        padding = (0, 0, 0, 0, self.shift, -(clips + self.shift) % self.window)

        def windows(x: Tensor) -> Tensor:
            """Reshape (B, K, Q, c) to (B * windows, window * Q, c)."""
            return (
                F.pad(x, padding)
                .flatten(1, 2)
                .unflatten(1, (-1, self.window * count))
                .flatten(0, 1)
            )

        mask = windows(queries.new_ones(batch, clips, count, 1)).bool()[:, None, None, :, 0]
        tokens = windows(queries)
        out = self.attn(tokens, tokens, mask)
        out = out.unflatten(0, (batch, -1)).flatten(1, 2).unflatten(1, (-1, count))
        queries = self.norm1(queries + out[:, self.shift : self.shift + clips])
        return self.norm2(queries + self.ffn(queries))


class VideoDecoderLayer(nn.Module):
    """Cross-attention to the clip queries, self-attention, feed-forward network.

    Args:
        channels: C.
        num_heads: attention heads.
        feedforward_channels: width of the feed-forward network.
    """

    def __init__(self, channels: int, num_heads: int, feedforward_channels: int) -> None:
        super().__init__()
        self.cross_attn = SelfAttention(channels, num_heads)
        self.norm1 = nn.LayerNorm(channels)
        self.self_attn = SelfAttention(channels, num_heads)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, feedforward_channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, queries: Tensor, position: Tensor, memory: Tensor) -> Tensor:
        """Update video queries (B, Qv, C), with position encoding, from clip queries (B, KQ, C)."""
        out = self.cross_attn.attend(queries + position, memory, memory)
        queries = self.norm1(queries + out)
        queries = self.norm2(queries + self.self_attn(queries + position, queries))
        return self.norm3(queries + self.ffn(queries))


@CROSS_CLIP_DESIGNS.register_module(name='VITA')
class VideoQueryDecoder(CrossClipModule):
    """Encode the clip queries in windows of clips, then decode learned video queries from them.

    A video query has the same features in all clips, so K of its outputs are copies.

    Args:
        channels: C.
        num_queries: Qv, video queries; must equal the number of clip queries for Tube-Link.
        num_encoder_layers: encoder layers; every second one shifts the windows by half.
        num_layers: decoder layers; each has an output.
        num_heads: attention heads.
        feedforward_channels: width of the feed-forward networks.
        window: number of clips that attend to each other in the encoder.
    """

    keeps_queries = False

    def __init__(
        self,
        channels: int,
        num_queries: int = 100,
        num_encoder_layers: int = 3,
        num_layers: int = 6,
        num_heads: int = 8,
        feedforward_channels: int = 2048,
        window: int = 6,
    ) -> None:
        layer = (channels, num_heads, feedforward_channels)
        super().__init__(channels, (VideoDecoderLayer(*layer) for _ in range(num_layers)))
        self.encoder = nn.Sequential(
            *(
                WindowEncoderLayer(*layer, window, i % 2 * (window // 2))
                for i in range(num_encoder_layers)
            )
        )
        self.num_queries = num_queries
        self.query_feat = nn.Embedding(num_queries, channels)
        self.query_embed = nn.Embedding(num_queries, channels)

    def forward(self, queries: Tensor) -> list[Tensor]:
        """Decode video queries.

        Args:
            queries: (B, K, Q, C), in any order within a clip.

        Returns:
            Output of each decoder layer, (B, K, Qv, C), the same for all clips.
        """
        batch, clips = queries.shape[:2]
        memory = self.encoder(queries).flatten(1, 2)
        decoded = self.query_feat.weight.expand(batch, -1, -1)
        outputs = []
        for layer in self.layers:
            decoded = layer(decoded, self.query_embed.weight, memory)
            outputs.append(decoded.unsqueeze(1).expand(-1, clips, -1, -1))
        return outputs
