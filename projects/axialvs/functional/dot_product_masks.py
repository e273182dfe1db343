"""Mask logits as dot products of query embeddings and pixel features."""

import torch
from torch import Tensor


def dot_product_masks(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits (B, Q, T, H, W) of embeddings (B, Q, C) and features (B, T, C, H, W)."""
    return torch.einsum('bqc,btchw->bqthw', embeddings, mask_features)
