"""Deformable attention over a clip's frames, plain and with axial-trajectory attention inside."""

from collections.abc import Sequence

import torch
from mmcv.ops import MultiScaleDeformableAttention
from torch import Tensor, nn

from axialvs.functional.ms_deform_attn import Backend, Shape, level_tensors, ms_deform_attn
from axialvs.layers.axial_trajectory import AxialTrajectoryEncoder


class ClipDeformableAttention(MultiScaleDeformableAttention):
    """mmcv's attention with shapes as Python ints, so that nothing waits for the device.

    Parameters and initialisation are mmcv's, and so are all arguments but one.

    Args:
        backend: what samples, see `ms_deform_attn`.
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
        """Samples every frame around its own tokens.

        Args:
            query: (B * T, N, C), the flattened levels from low to high resolution.
            query_pos: encoding, broadcastable to `query`.
            reference_points: (1 or B * T, N, levels, 2), x and y between 0 and 1.
            spatial_shapes: (H_l, W_l) of each level.
            identity: what the result is added to; `query` by default.
            encoder_arguments: what mmdet's encoder hands to every layer; a subclass picks its own.

        Returns:
            (B * T, N, C).
        """
        identity = query if identity is None else identity
        sampled = self._sample(query, query + query_pos, reference_points, spatial_shapes)
        sampled = self._track(sampled, spatial_shapes, **encoder_arguments)
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
        cells = offsets / sizes.flip(-1)[:, None]  # x and y, in units of the map's size
        locations = reference_points[:, :, None, :, None] + cells
        return ms_deform_attn(
            value, spatial_shapes, locations, weights.unflatten(-1, heads[1:]), self.backend
        )

    def _track(
        self, sampled: Tensor, spatial_shapes: Sequence[Shape], **encoder_arguments
    ) -> Tensor:
        """What happens between the sampling and the output projection: nothing here."""
        return sampled


class DeformableAxialTrajectoryAttention(ClipDeformableAttention):
    """Deformable attention whose samples are tracked before the output projection.

    The within-clip tracking module as Tube-Link takes it (Axial-VS Sec. 3.2 and 4): the result of
    the axial-trajectory layers, scaled by a learnt factor for each channel, is added on the
    coarsest levels.

    Args:
        trajectory: `num_levels` coarsest levels that are tracked; `layer_scale`, first value of the
            learnt factors, 1e-6 as released; the rest goes to `AxialTrajectoryEncoder`.
        deformable: arguments of `ClipDeformableAttention`.
    """

    def __init__(self, trajectory: dict, **deformable) -> None:
        super().__init__(**deformable)
        trajectory = dict(trajectory)
        self.num_trajectory_levels = trajectory.pop('num_levels')
        if self.num_trajectory_levels > self.num_levels:
            raise ValueError(
                f'trajectory num_levels is {self.num_trajectory_levels}, but the attention has '
                f'{self.num_levels} levels'
            )
        layer_scale = trajectory.pop('layer_scale', 1e-6)
        self.gamma = nn.Parameter(torch.full((self.embed_dims,), float(layer_scale)))
        self.temporal_layer = AxialTrajectoryEncoder(self.embed_dims, **trajectory)

    def _track(
        self,
        sampled: Tensor,
        spatial_shapes: Sequence[Shape],
        num_frames: int,
        positions_3d: Sequence[Tensor],
        **encoder_arguments,
    ) -> Tensor:
        """Tracks the coarsest levels.

        Args:
            sampled: (B * T, N, C).
            spatial_shapes: (H_l, W_l) of each level.
            num_frames: T.
            positions_3d: encoding of each tracked level, (1, T, H_l, W_l, C).
            encoder_arguments: not used.
        """
        levels = list(sampled.split([h * w for h, w in spatial_shapes], dim=1))
        for i, position in enumerate(positions_3d):
            maps = levels[i].view(-1, num_frames, *spatial_shapes[i], self.embed_dims)
            tracked = self.gamma * self.temporal_layer(maps, position)
            levels[i] = levels[i] + tracked.flatten(0, 1).flatten(1, 2)
        return torch.cat(levels, dim=1)
