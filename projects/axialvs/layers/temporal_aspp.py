"""Convolutions over the clips of a video at several rates at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TemporalASPP(nn.Module):
    """Temporal-ASPP (Axial-VS Sec. 3.3, Fig. 6): short-term context along each query's clips.

    Parallel atrous convolutions over the clip axis, a 1x1 convolution that merges them, layer norm
    and GELU. The video's first and last clip are repeated where a convolution looks beyond them, so
    any number of clips will do.

    Args:
        channels: C.
        kernel_sizes: clips under each convolution's kernel.
        rates: its atrous rate; the paper's best are 1, 2 and 3.
        dropout: on the result, as released.
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
                f'{len(kernel_sizes)} kernel_sizes and {len(rates)} rates: give one of each for '
                'every convolution'
            )
        self.convs = nn.ModuleList(
            nn.Conv1d(
                channels, channels, size, dilation=rate, padding='same', padding_mode='replicate'
            )
            for size, rate in zip(kernel_sizes, rates, strict=True)
        )
        merged = channels * len(rates)
        self.proj = nn.Conv1d(merged, channels, 1, bias=False)
        nn.init.trunc_normal_(self.proj.weight, std=(2 / merged) ** 0.5)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor) -> Tensor:
        """Args: `queries` (n, C, K), one sequence of clips for each query. Returns alike."""
        merged = self.proj(torch.cat([conv(queries) for conv in self.convs], dim=1))
        normed = self.norm(merged.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.activation(normed))
