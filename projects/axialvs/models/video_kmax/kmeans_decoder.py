"""k-means transformer decoder: queries are cluster centers (kMaX-DeepLab, Yu et al., 2022)."""

from functools import partial

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from axialvs.functional.kmeans import sum_by_cluster
from axialvs.models.video_kmax.conv_norm import ConvNormAct, batch_norm_1d, batch_norm_2d
from axialvs.models.video_kmax.mask_predictor import MaskPrediction, MaskPredictor


class QuerySelfAttention(nn.Module):
    """Self-attention of queries, with batch norms of scores and output instead of a scale.

    Args:
        key_channels: channels of queries and keys, over all heads.
        value_channels: channels of values and output, over all heads.
        num_heads: attention heads.
    """

    def __init__(self, key_channels: int, value_channels: int, num_heads: int = 8) -> None:
        super().__init__()
        self.channels = (key_channels, key_channels, value_channels)
        self.num_heads = num_heads
        self.similarity_norm = batch_norm_2d(num_heads)
        self.output_norm = batch_norm_1d(value_channels)

    def forward(self, qkv: Tensor) -> Tensor:
        """Map `qkv` (B, 2 * key_channels + value_channels, Q) to (B, value_channels, Q)."""
        query, key, value = (
            x.unflatten(1, (self.num_heads, -1)) for x in qkv.split(self.channels, dim=1)
        )
        logits = self.similarity_norm(query.transpose(-1, -2) @ key)
        weights = logits.softmax(-1, dtype=torch.float32).to(value.dtype)
        retrieved = value @ weights.transpose(-1, -2)
        return F.gelu(self.output_norm(retrieved.flatten(1, 2)))


class KMeansLayer(nn.Module):
    """Decoder layer: k-means cross-attention, self-attention, feed-forward network.

    Args:
        pixel_channels: channels of the feature map.
        num_classes: N.
        channels: C of queries.
        mask_channels: as in `MaskPredictor`.
        feedforward_channels: width of the feed-forward network.
        num_heads: heads of the self-attention.
        drop_path: drop path rate of each of the three updates.
    """

    def __init__(
        self,
        pixel_channels: int,
        num_classes: int,
        channels: int = 256,
        mask_channels: int = 128,
        feedforward_channels: int = 2048,
        num_heads: int = 8,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        std = channels**-0.5
        residual = partial(ConvNormAct, dims=1, activation=False, norm_weight=0.0)
        self.query_conv = ConvNormAct(channels, channels, dims=1)
        self.pixel_conv = ConvNormAct(pixel_channels, channels)
        self.predictor = MaskPredictor(channels, channels, mask_channels, num_classes)
        self.pixel_value = ConvNormAct(channels, channels, activation=False, std=std)
        self.kmeans_norm = batch_norm_1d(channels)
        self.kmeans_out = residual(channels, channels)
        key_channels = channels // 2
        self.qkv = ConvNormAct(
            channels, 2 * key_channels + channels, dims=1, activation=False, std=std
        )
        self.self_attn = QuerySelfAttention(key_channels, channels, num_heads)
        self.self_attn_out = residual(channels, channels)
        self.ffn = nn.Sequential(
            ConvNormAct(channels, feedforward_channels, dims=1),
            residual(feedforward_channels, channels),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, queries: Tensor, pixels: Tensor) -> tuple[Tensor, MaskPrediction]:
        """Update queries.

        Args:
            queries: (B, C, Q).
            pixels: (B, pixel_channels, H, W).

        Returns:
            The queries (B, C, Q), and the prediction whose masks assign pixels to queries.
        """
        pixels = self.pixel_conv(F.gelu(pixels))
        hidden = self.query_conv(queries)
        prediction = self.predictor(hidden, hidden, pixels)
        values = self.pixel_value(pixels).flatten(2)
        sums = sum_by_cluster(values, prediction.mask_logits.flatten(2))
        queries = queries + self.drop_path(self.kmeans_out(self.kmeans_norm(sums)))
        attended = self.self_attn_out(self.self_attn(self.qkv(hidden)))
        queries = F.gelu(queries + self.drop_path(attended))
        return F.gelu(queries + self.drop_path(self.ffn(queries))), prediction
