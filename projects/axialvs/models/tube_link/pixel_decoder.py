"""Mask2Former's pixel decoder for clips, optionally with the within-clip tracking module."""

import torch
import torch.nn.functional as F
from mmdet.models.layers import MSDeformAttnPixelDecoder
from mmdet.models.layers.positional_encoding import SinePositionalEncoding3D
from mmdet.registry import MODELS
from mmengine import ConfigDict
from torch import Tensor, nn

from axialvs.functional.ms_deform_attn import Backend, Shape
from axialvs.layers.deformable_attention import (
    ClipDeformableAttention,
    DeformableAxialTrajectoryAttention,
)
from axialvs.layers.position_encoding import CachedPositionEncoding, ShapeCache


@MODELS.register_module()
class ClipPixelDecoder(MSDeformAttnPixelDecoder):
    """Computes mask features and decoder memory from a clip's backbone maps (Axial-VS Fig. 3).

    Args:
        encoder: as in mmdet; its attention runs frame by frame.
        trajectory: the within-clip tracking module inside every attention, see
            `DeformableAxialTrajectoryAttention`; None leaves the plain Tube-Link pixel decoder.
        sampling_backend: of deformable attention, see `functional/ms_deform_attn.py`.
        args, kwargs: as in mmdet's `MSDeformAttnPixelDecoder`.
    """

    def __init__(
        self,
        *args,
        encoder: dict,
        trajectory: dict | None = None,
        sampling_backend: Backend = 'auto',
        **kwargs,
    ) -> None:
        super().__init__(*args, encoder=ConfigDict(encoder), **kwargs)
        attention = dict(encoder['layer_cfg']['self_attn_cfg'], backend=sampling_backend)
        channels = attention['embed_dims']
        for layer in self.encoder.layers:
            if trajectory is None:
                layer.self_attn = ClipDeformableAttention(**attention)
            else:
                layer.self_attn = DeformableAxialTrajectoryAttention(trajectory, **attention)
        self.postional_encoding = CachedPositionEncoding(self.postional_encoding)
        self._reference_points = ShapeCache(_cell_centres)
        self.num_trajectory_levels = 0
        if trajectory is not None:
            self.num_trajectory_levels = trajectory['num_levels']
            self.level_encoding_3d = nn.Embedding(self.num_trajectory_levels, channels)
            self.position_encoding_3d = CachedPositionEncoding(
                SinePositionalEncoding3D(num_feats=channels // 2, normalize=True)
            )

    def init_weights(self) -> None:
        """As in mmdet; layer scales keep their initial value."""
        super().init_weights()
        if self.num_trajectory_levels:
            nn.init.normal_(self.level_encoding_3d.weight)

    def forward(self, feats: list[Tensor], num_frames: int) -> tuple[Tensor, list[Tensor]]:
        """Encode the coarse maps and merge the finer ones top-down.

        Args:
            feats: backbone maps (B * T, C_l, H_l, W_l), high to low resolution, clip by clip.
            num_frames: T.

        Returns:
            Mask features (B * T, C, H, W) at the finest resolution, and the decoder's memory
            (B * T, C, H_l, W_l), low to high resolution.
        """
        inputs = feats[::-1][: self.num_encoder_levels]
        shapes = tuple(tuple(x.shape[-2:]) for x in inputs)
        tokens = [
            conv(x).flatten(2).transpose(1, 2)
            for conv, x in zip(self.input_convs, inputs, strict=True)
        ]
        memory = self.encoder(
            query=torch.cat(tokens, dim=1),
            query_pos=self._positions_2d(shapes, inputs[0].device),
            key_padding_mask=None,
            spatial_shapes=shapes,
            level_start_index=None,
            valid_ratios=None,
            reference_points=self._reference_points(shapes, inputs[0].device),
            num_frames=num_frames,
            positions_3d=self._positions_3d(num_frames, shapes, inputs[0].device),
        )
        levels = memory.transpose(1, 2).split([h * w for h, w in shapes], dim=-1)
        maps = [x.unflatten(-1, shape) for x, shape in zip(levels, shapes, strict=True)]
        return self._merge_top_down(maps, feats[: self.num_input_levels - self.num_encoder_levels])

    def _positions_2d(self, shapes: tuple[Shape, ...], device: torch.device) -> Tensor:
        encoded = [
            self.postional_encoding(shape, device).flatten(1, 2) + self.level_encoding.weight[i]
            for i, shape in enumerate(shapes)
        ]
        return torch.cat(encoded, dim=1)

    def _positions_3d(
        self, num_frames: int, shapes: tuple[Shape, ...], device: torch.device
    ) -> list[Tensor]:
        return [
            self.position_encoding_3d((num_frames, *shape), device)
            + self.level_encoding_3d.weight[i]
            for i, shape in enumerate(shapes[: self.num_trajectory_levels])
        ]

    def _merge_top_down(
        self, maps: list[Tensor], finer: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        for i in reversed(range(len(finer))):
            lateral = self.lateral_convs[i](finer[i])
            above = F.interpolate(
                maps[-1], size=lateral.shape[-2:], mode='bilinear', align_corners=False
            )
            maps.append(self.output_convs[i](lateral + above))
        return self.mask_feature(maps[-1]), maps[: self.num_outs]


def _cell_centres(shapes: tuple[Shape, ...], device: torch.device) -> Tensor:
    """Cell centres as reference points in all levels: (1, N, levels, 2), x and y in 0..1."""
    centres = []
    for height, width in shapes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        centres.append(
            torch.stack((x.expand(height, width), y[:, None].expand(height, width)), -1).flatten(
                0, 1
            )
        )
    return torch.cat(centres)[None, :, None].expand(-1, -1, len(shapes), -1)
