"""Position-sensitive axial attention (Axial-DeepLab, Wang et al., 2020)."""

import torch
from torch import Tensor, nn

from axialvs.functional.relative_attention import (
    key_position_logits,
    query_position_logits,
    relative_positions,
    retrieve_positions,
)
from axialvs.models.video_kmax.conv_norm import batch_norm_1d, batch_norm_2d, trunc_normal_

# Number of offsets in each direction in the table of relative positions.
MAX_SPAN = 255


class LineAttention(nn.Module):
    """Self-attention within each column or each row of a feature map.

    Scores are not scaled; instead, each of the three products has a batch norm before the softmax.

    Args:
        in_channels: C of the input.
        key_channels: channels of queries and keys, over all heads.
        value_channels: channels of values and output, over all heads.
        num_heads: attention heads.
        axis: 'height' attends along columns, 'width' along rows.
        max_span: number of relative positions per direction; larger offsets are clamped.
    """

    def __init__(
        self,
        in_channels: int,
        key_channels: int,
        value_channels: int,
        num_heads: int = 8,
        axis: str = 'height',
        max_span: int = MAX_SPAN,
    ) -> None:
        super().__init__()
        for name, channels in (('key_channels', key_channels), ('value_channels', value_channels)):
            if channels % num_heads:
                raise ValueError(
                    f'{name} ({channels}) must be a multiple of num_heads ({num_heads})'
                )
        self.channels = (key_channels, key_channels, value_channels)
        self.num_heads = num_heads
        self.axis = axis
        self.qkv = nn.Conv1d(in_channels, sum(self.channels), 1, bias=False)
        trunc_normal_(self.qkv.weight, in_channels**-0.5)
        self.qkv_norm = batch_norm_1d(sum(self.channels))
        self.similarity_norm = batch_norm_2d(3 * num_heads)
        self.output_norm = batch_norm_2d(2 * value_channels)
        tables = [
            nn.Parameter(trunc_normal_(torch.empty(2 * max_span - 1, x // num_heads), 1.0))
            for x in self.channels
        ]
        self.query_position_table, self.key_position_table, self.value_position_table = tables

    def forward(self, features: Tensor) -> Tensor:
        """Attend within lines.

        Args:
            features: (B, C, H, W).

        Returns:
            (B, value channels, H, W).
        """
        size = features.shape[-2], features.shape[-1]
        qkv = self.qkv_norm(self.qkv(features.flatten(2))).unflatten(-1, size)
        query, key, value = (self._to_lines(x) for x in qkv.split(self.channels, dim=1))
        length = query.shape[-2]
        query_positions, key_positions, value_positions = (
            relative_positions(table.to(query.dtype), length)
            for table in (
                self.query_position_table,
                self.key_position_table,
                self.value_position_table,
            )
        )
        similarity = torch.cat(
            (
                query @ key.transpose(-1, -2),
                query_position_logits(query, query_positions),
                key_position_logits(key, key_positions),
            ),
            dim=1,
        )
        logits = self.similarity_norm(similarity).unflatten(1, (3, self.num_heads)).sum(1)
        weights = logits.softmax(-1, dtype=torch.float32).to(value.dtype)
        retrieved = torch.cat(
            (
                self._to_map(weights @ value, size),
                self._to_map(retrieve_positions(weights, value_positions), size),
            ),
            dim=1,
        )
        return self.output_norm(retrieved).unflatten(1, (2, -1)).sum(1)

    def _to_lines(self, features: Tensor) -> Tensor:
        """Reshape (B, h * d, H, W) to (B * lines, h, n, d)."""
        heads = features.unflatten(1, (self.num_heads, -1))
        order = (0, 4, 1, 3, 2) if self.axis == 'height' else (0, 3, 1, 4, 2)
        return heads.permute(order).flatten(0, 1)

    def _to_map(self, lines: Tensor, size: tuple[int, int]) -> Tensor:
        """Reshape (B * lines, h, n, d) to (B, h * d, H, W)."""
        height, width = size
        by_line = lines.unflatten(0, (-1, width if self.axis == 'height' else height))
        order = (0, 2, 4, 3, 1) if self.axis == 'height' else (0, 2, 4, 1, 3)
        return by_line.permute(order).flatten(1, 2)


class AxialAttention(nn.Sequential):
    """Attention along the height and then along the width; arguments as in `LineAttention`."""

    def __init__(self, in_channels: int, key_channels: int, value_channels: int, **line) -> None:
        super().__init__()
        self.height = LineAttention(
            in_channels, key_channels, value_channels, axis='height', **line
        )
        self.width = LineAttention(
            value_channels, key_channels, value_channels, axis='width', **line
        )
