"""Multi-head attention by torch's fused kernel, with one mask for all heads."""

import torch.nn.functional as F
from torch import Tensor, nn


class FusedMultiheadAttention(nn.MultiheadAttention):
    """torch's multi-head attention without the averaged attention map, which mmcv discards.

    Parameters and constructor are torch's; inputs are sequence first, as in mmcv's wrapper.
    """

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **unused
    ) -> tuple[Tensor, None]:
        """Attend.

        Args:
            query: (N, B, C).
            key, value: (M, B, C).
            attn_mask: (B, N, M) bool, true where attention is not allowed; shared by all heads.
            unused: mmcv passes an empty padding mask.

        Returns:
            (N, B, C), and None in place of the map.
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
        """Create the fused form of an attention, with copies of its parameters."""
        fused = cls(attention.embed_dim, attention.num_heads, attention.dropout, batch_first=False)
        fused.load_state_dict(attention.state_dict())
        return fused
