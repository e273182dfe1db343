"""Class and mask logits of queries (kMaX-DeepLab, Yu et al., 2022)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axialvs.models.video_kmax.conv_norm import ConvNormAct, batch_norm_2d, trunc_normal_

# Prior probability of no-object at initialization.
NO_OBJECT_PRIOR = 0.9


class MaskPrediction(NamedTuple):
    """Output of `MaskPredictor`."""

    class_logits: Tensor  # (B, Q, N + 1), the last column is no-object
    mask_logits: Tensor  # (B, Q, H, W)
    pixel_features: Tensor  # (B, C, H, W) of unit length
    mask_embeddings: Tensor  # (B, Q, C)


class QueryPredictor(nn.Module):
    """Class logits and mask embeddings of queries, and the norm of mask logits.

    Args:
        channels: channels of queries.
        mask_channels: channels of mask embeddings.
        num_classes: N.
    """

    def __init__(self, channels: int, mask_channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_embed = nn.Conv1d(channels, num_classes + 1, 1)
        trunc_normal_(self.cls_embed.weight, 0.01)
        assert self.cls_embed.bias is not None
        nn.init.zeros_(self.cls_embed.bias)
        self.mask_embed = ConvNormAct(channels, mask_channels, dims=1, activation=False)
        self.mask_norm = batch_norm_2d(1)
        nn.init.constant_(self.mask_norm.weight, 0.1)
        prior = torch.zeros(num_classes + 1)
        prior[-1] = math.log(num_classes * NO_OBJECT_PRIOR / (1 - NO_OBJECT_PRIOR))
        self.register_buffer('class_prior', prior, persistent=False)

    def predict_classes(self, queries: Tensor) -> Tensor:
        """Predict class logits (B, Q, N + 1) from `queries` (B, C, Q)."""
        return self.cls_embed(queries).transpose(1, 2) + self.class_prior

    def embed_masks(self, queries: Tensor) -> Tensor:
        """Compute mask embeddings (B, Q, C) of `queries` (B, C, Q)."""
        return self.mask_embed(queries).transpose(1, 2)

    def predict_masks(self, embeddings: Tensor, pixel_features: Tensor) -> Tensor:
        """Predict mask logits (B, Q, H, W) from embeddings (B, Q, C) and pixels (B, C, H, W)."""
        products = embeddings @ pixel_features.flatten(2)
        return self.normalize_masks(products.unflatten(-1, pixel_features.shape[2:]))

    def normalize_masks(self, products: Tensor) -> Tensor:
        """Apply a single-channel batch norm to dot products (B, Q, ...) of queries and pixels."""
        return self.mask_norm(products.flatten(1).view(len(products), 1, 1, -1)).view_as(products)


class MaskPredictor(QueryPredictor):
    """A `QueryPredictor` with layers for pixel features.

    Args:
        channels: channels of queries.
        pixel_channels: channels of the feature map.
        mask_channels: channels of pixel features and mask embeddings.
        num_classes: N.
    """

    def __init__(
        self, channels: int, pixel_channels: int, mask_channels: int, num_classes: int
    ) -> None:
        super().__init__(channels, mask_channels, num_classes)
        self.pixel_convs = nn.Sequential(
            ConvNormAct(pixel_channels, pixel_channels, 5, depthwise=True),
            ConvNormAct(pixel_channels, channels),
            ConvNormAct(channels, mask_channels, bias=True, activation=False, std=0.01),
        )

    def forward(
        self, class_queries: Tensor, mask_queries: Tensor, pixels: Tensor
    ) -> MaskPrediction:
        """Predict class and mask logits.

        Args:
            class_queries, mask_queries: (B, C, Q).
            pixels: (B, pixel_channels, H, W).
        """
        pixel_features = F.normalize(self.pixel_convs(pixels), dim=1)
        embeddings = self.embed_masks(mask_queries)
        return MaskPrediction(
            self.predict_classes(class_queries),
            self.predict_masks(embeddings, pixel_features),
            pixel_features,
            embeddings,
        )
