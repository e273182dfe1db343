"""Multi-head attention through torch's fused kernel, with one mask for all heads."""

import torch.nn.functional as F
from torch import Tensor, nn


class FusedMultiheadAttention(nn.MultiheadAttention):
    """torch's multi-head attention without the averaged attention map that mmcv asks for and drops.

    Parameters and constructor are torch's; inputs are sequence first, as mmcv's wrapper hands them
    over.
    """

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **unused
    ) -> tuple[Tensor, None]:
        """Attends.

        Args:
            query: (N, B, C).
            key, value: (M, B, C).
            attn_mask: (B, N, M) bool, true where a query must not look; the same for all heads.
            unused: mmcv passes an empty padding mask.

        Returns:
            (N, B, C) and None for the map.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        projected = [
            F.linear(x, weight, bias).unflatten(-1, (self.num_heads, -1)).permute(1, 2, 0, 3)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        ]
        out = F.scaled_dot_product_attention(
            *projected,
            attn_mask=None if attn_mask is None else ~attn_mask.unsqueeze(1),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(out.permute(2, 0, 1, 3).flatten(2)), None

    @classmethod
    def take_over(cls, attention: nn.MultiheadAttention) -> 'FusedMultiheadAttention':
        """The same attention, with the same parameters, in this form."""
        fused = cls(attention.embed_dim, attention.num_heads, attention.dropout, batch_first=False)
        fused.load_state_dict(attention.state_dict())
        return fused
