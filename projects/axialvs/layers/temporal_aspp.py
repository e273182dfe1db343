"""Temporal-ASPP: parallel atrous convolutions over the clips of a video."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TemporalASPP(nn.Module):
    """Short-term context along the clips of each query (Axial-VS Sec. 3.3, Fig. 6).

    Parallel atrous convolutions over the clip axis, merged by a 1x1 convolution, layer norm and
    GELU. Replicate padding allows any number of clips.

    Args:
        channels: C.
        kernel_sizes: kernel size of each convolution, in clips.
        rates: atrous rate of each convolution; 1, 2 and 3 in the paper.
        dropout: dropout on the output, as released.

    Raises:
        ValueError: if the numbers of kernel sizes and rates differ.
    """

    def __init__(
        self,
        channels: int,
        kernel_sizes: Sequence[int] = (3, 3, 3),
        rates: Sequence[int] = (1, 2, 3),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(kernel_sizes) != len(rates):
            raise ValueError(
                f'{len(kernel_sizes)} kernel_sizes and {len(rates)} rates: each convolution needs '
                'one of both'
            )
        self.convs = nn.ModuleList(
            nn.Conv1d(
                channels, channels, size, dilation=rate, padding='same', padding_mode='replicate'
            )
            for size, rate in zip(kernel_sizes, rates, strict=True)
        )
        merged = channels * len(rates)
        self.proj = nn.Conv1d(merged, channels, 1, bias=False)
        std = (2 / merged) ** 0.5
        nn.init.trunc_normal_(self.proj.weight, std=std, a=-2 * std, b=2 * std)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor) -> Tensor:
        """Mix the clips of each query.

        Args:
            queries: (n, C, K), one sequence of clips per query.

        Returns:
            (n, C, K).
        """
        merged = self.proj(torch.cat([conv(queries) for conv in self.convs], dim=1))
        normed = self.norm(merged.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.activation(normed))
