"""Deformable attention within the frames of a clip, optionally followed by temporal attention."""

from collections.abc import Sequence

import torch
from mmcv.ops import MultiScaleDeformableAttention
from torch import Tensor, nn

from axialvs.functional.ms_deform_attn import Backend, Shape, level_tensors, ms_deform_attn
from axialvs.layers.temporal.encoder import TemporalEncoder


class ClipDeformableAttention(MultiScaleDeformableAttention):
    """mmcv's attention with shapes as Python ints, which avoids device synchronization.

    Parameters and initialization are mmcv's.

    Args:
        backend: see `ms_deform_attn`.
        deformable: arguments of mmcv's `MultiScaleDeformableAttention`.
    """

    def __init__(self, *, backend: Backend = 'auto', **deformable) -> None:
        super().__init__(**deformable)
        self.backend = backend

    def forward(
        self,
        query: Tensor,
        query_pos: Tensor,
        reference_points: Tensor,
        spatial_shapes: Sequence[Shape],
        identity: Tensor | None = None,
        **encoder_arguments,
    ) -> Tensor:
        """Attend within each frame.

        Args:
            query: (B * T, N, C), flattened levels from low to high resolution.
            query_pos: encoding, broadcastable to `query`.
            reference_points: (1 or B * T, N, levels, 2), x and y between 0 and 1.
            spatial_shapes: (H_l, W_l) of each level.
            identity: residual added to the output; `query` by default.
            encoder_arguments: passed by mmdet's encoder to every layer; used by subclasses.

        Returns:
            (B * T, N, C).
        """
        identity = query if identity is None else identity
        sampled = self._sample(query, query + query_pos, reference_points, spatial_shapes)
        sampled = self._attend_over_time(sampled, spatial_shapes, **encoder_arguments)
        return self.dropout(self.output_proj(sampled)) + identity

    def _sample(
        self,
        value: Tensor,
        query: Tensor,
        reference_points: Tensor,
        spatial_shapes: Sequence[Shape],
    ) -> Tensor:
        heads = (self.num_heads, self.num_levels, self.num_points)
        value = self.value_proj(value).unflatten(-1, (self.num_heads, -1))
        offsets = self.sampling_offsets(query).unflatten(-1, (*heads, 2))
        weights = self.attention_weights(query).unflatten(-1, (self.num_heads, -1)).softmax(-1)
        sizes, _ = level_tensors(spatial_shapes, value.device)
        cells = offsets / sizes.flip(-1)[:, None]  # x and y, normalized by the map's size
        locations = reference_points[:, :, None, :, None] + cells
        return ms_deform_attn(
            value, spatial_shapes, locations, weights.unflatten(-1, heads[1:]), self.backend
        )

    def _attend_over_time(
        self, sampled: Tensor, spatial_shapes: Sequence[Shape], **encoder_arguments
    ) -> Tensor:
        """Hook between sampling and output projection for subclasses."""
        return sampled


class TemporalDeformableAttention(ClipDeformableAttention):
    """Deformable attention with temporal attention before the output projection.

    The within-clip tracking module as used in Tube-Link (Axial-VS Sec. 3.2 and 4): the output of
    the temporal layers, scaled by a learned factor per channel, is added on the coarsest levels.

    Args:
        temporal_layer: `num_levels`, the number of (coarsest) levels with temporal attention;
            `layer_scale`, the initial value of the learned factors, 1e-6 as released; other items
            are arguments of `TemporalEncoder`.
        deformable: arguments of `ClipDeformableAttention`.

    Raises:
        ValueError: if there are fewer levels than `num_levels`.
    """

    def __init__(self, temporal_layer: dict, **deformable) -> None:
        super().__init__(**deformable)
        encoder = dict(temporal_layer)
        num_levels = encoder.pop('num_levels')
        if num_levels > self.num_levels:
            raise ValueError(
                f'temporal_layer: num_levels is {num_levels}, but the attention has '
                f'{self.num_levels} levels'
            )
        layer_scale = encoder.pop('layer_scale', 1e-6)
        self.gamma = nn.Parameter(torch.full((self.embed_dims,), float(layer_scale)))
        self.temporal_layer = TemporalEncoder(self.embed_dims, **encoder)

    def _attend_over_time(  # type: ignore[override]
        self,
        sampled: Tensor,
        spatial_shapes: Sequence[Shape],
        num_frames: int,
        positions_3d: Sequence[Tensor],
        **encoder_arguments,
    ) -> Tensor:
        """Add temporal attention on the coarsest levels.

        Args:
            sampled: (B * T, N, C).
            spatial_shapes: (H_l, W_l) of each level.
            num_frames: T.
            positions_3d: encoding of each level with temporal attention, (1, T, H_l, W_l, C).
            encoder_arguments: not used.

        Returns:
            (B * T, N, C).
        """
        levels = list(sampled.split([h * w for h, w in spatial_shapes], dim=1))
        for i, position in enumerate(positions_3d):
            maps = levels[i].view(-1, num_frames, *spatial_shapes[i], self.embed_dims)
            attended = self.gamma * self.temporal_layer(maps, position)
            levels[i] = levels[i] + attended.flatten(0, 1).flatten(1, 2)
        return torch.cat(levels, dim=1)
