"""Multi-head attention with torch's fused kernel."""

import torch.nn.functional as F
from torch import Tensor, nn


class FusedMultiheadAttention(nn.MultiheadAttention):
    """torch's multi-head attention without computing the averaged attention map.

    mmcv's wrapper discards the map. Parameters and constructor are torch's; inputs are sequence
    first, as in mmcv's wrapper.
    """

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **unused
    ) -> tuple[Tensor, None]:
        """Attend.

        Args:
            query: (N, B, C).
            key, value: (M, B, C).
            attn_mask: (B, N, M) bool, True where attention is not allowed; shared by all heads.
            unused: mmcv passes an empty padding mask.

        Returns:
            (N, B, C), and None instead of the attention map.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (
            F.linear(x, weight, bias).unflatten(-1, (self.num_heads, -1)).permute(1, 2, 0, 3)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        out = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if attn_mask is None else ~attn_mask.unsqueeze(1),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(out.permute(2, 0, 1, 3).flatten(2)), None

    @classmethod
    def from_module(cls, attention: nn.MultiheadAttention) -> 'FusedMultiheadAttention':
        """Convert a `torch.nn.MultiheadAttention`, with copies of its parameters."""
        fused = cls(attention.embed_dim, attention.num_heads, attention.dropout, batch_first=False)
        fused.load_state_dict(attention.state_dict())
        return fused


class SelfAttention(nn.Module):
    """Multi-head self-attention with position encodings in queries and keys.

    Args:
        channels: C.
        num_heads: h.
        attention_dropout: dropout on the attention weights.

    Raises:
        ValueError: if `num_heads` does not divide `channels`.
    """

    def __init__(self, channels: int, num_heads: int = 8, attention_dropout: float = 0.0) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f'channels ({channels}) must be a multiple of num_heads ({num_heads})')
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, query_key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within each sequence.

        Args:
            query_key, value: (B, S, C).
            mask: (B, 1, 1, S) bool, False for tokens that are ignored.

        Returns:
            (B, S, C).
        """
        return self.attend(query_key, query_key, value, mask)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Attend from queries (B, N, C) to keys and values (B, S, C); see `forward`."""
        query, key, value = (
            x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x in (self.q(query), self.k(key), self.v(value))
        )
        dropout_p = self.attention_dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(query, key, value, mask, dropout_p)
        return self.proj(out.transpose(1, 2).flatten(2))
