"""Mask2Former's pixel decoder for clips, optionally with the within-clip tracking module."""

from collections.abc import Sequence

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
    TemporalDeformableAttention,
)
from axialvs.layers.position_encoding import (
    CachedPositionEncoding,
    ShapeCache,
    cell_centers,
    level_encodings,
)
from axialvs.layers.within_clip import WithinClipEncoder


@MODELS.register_module()
class ClipPixelDecoder(MSDeformAttnPixelDecoder):
    """Compute mask features and decoder memory from a clip's backbone maps (Axial-VS Fig. 3).

    Args:
        encoder: as in mmdet; its attention runs frame by frame.
        temporal_layer: temporal attention inside every deformable attention, see
            `TemporalDeformableAttention`; None or `type='none'` for plain Tube-Link.
        sampling_backend: backend of deformable attention, see `ms_deform_attn`.
        args, kwargs: as in mmdet's `MSDeformAttnPixelDecoder`.
    """

    postional_encoding: CachedPositionEncoding  # mmdet's spelling

    def __init__(
        self,
        *args,
        encoder: dict,
        temporal_layer: dict | None = None,
        sampling_backend: Backend = 'auto',
        **kwargs,
    ) -> None:
        super().__init__(*args, encoder=ConfigDict(encoder), **kwargs)
        attention = dict(encoder['layer_cfg']['self_attn_cfg'], backend=sampling_backend)
        channels = attention['embed_dims']
        if temporal_layer is not None and temporal_layer.get('type') == 'none':
            temporal_layer = None
        for layer in self.encoder.layers:
            if temporal_layer is None:
                layer.self_attn = ClipDeformableAttention(**attention)
            else:
                layer.self_attn = TemporalDeformableAttention(temporal_layer, **attention)
        self.postional_encoding = CachedPositionEncoding(self.postional_encoding)
        self._reference_points = ShapeCache(cell_centers)
        self.num_temporal_levels = 0
        if temporal_layer is not None:
            self.num_temporal_levels = temporal_layer['num_levels']
            self.level_encoding_3d = nn.Embedding(self.num_temporal_levels, channels)
            self.position_encoding_3d = CachedPositionEncoding(
                SinePositionalEncoding3D(num_feats=channels // 2, normalize=True)
            )

    def init_weights(self) -> None:
        """Initialize as mmdet does; layer scales keep their initial value."""
        super().init_weights()
        if self.num_temporal_levels:
            nn.init.normal_(self.level_encoding_3d.weight)

    def forward(self, feats: list[Tensor], num_frames: int) -> tuple[Tensor, list[Tensor]]:
        """Encode the coarse maps and fuse the finer ones top-down.

        Args:
            feats: backbone maps (B * T, C_l, H_l, W_l), high to low resolution, clip by clip.
            num_frames: T.

        Returns:
            Mask features (B * T, C, H, W) at the finest resolution, and the decoder's memory
            (B * T, C, H_l, W_l), low to high resolution.
        """
        inputs = feats[::-1][: self.num_encoder_levels]
        shapes = tuple((x.shape[-2], x.shape[-1]) for x in inputs)
        tokens = [
            conv(x).flatten(2).transpose(1, 2)
            for conv, x in zip(self.input_convs, inputs, strict=True)
        ]
        maps = [
            x.transpose(1, 2).unflatten(-1, shape)
            for x, shape in zip(self._encode(tokens, shapes, num_frames), shapes, strict=True)
        ]
        return self._merge_top_down(maps, feats[: self.num_input_levels - self.num_encoder_levels])

    def _encode(
        self, tokens: list[Tensor], shapes: tuple[Shape, ...], num_frames: int
    ) -> Sequence[Tensor]:
        """Encode the tokens (B * T, H_l * W_l, C) of each level."""
        memory = self.encoder(
            query=torch.cat(tokens, dim=1),
            query_pos=self._positions_2d(shapes),
            key_padding_mask=None,
            spatial_shapes=shapes,
            level_start_index=None,
            valid_ratios=None,
            reference_points=self._reference_points(shapes, tokens[0].device),
            num_frames=num_frames,
            positions_3d=self._positions_3d(num_frames, shapes),
        )
        return memory.split([h * w for h, w in shapes], dim=1)

    def _positions_2d(self, shapes: tuple[Shape, ...]) -> Tensor:
        encodings = level_encodings(self.postional_encoding, self.level_encoding, shapes)
        return torch.cat([x.flatten(1, 2) for x in encodings], dim=1)

    def _positions_3d(self, num_frames: int, shapes: tuple[Shape, ...]) -> list[Tensor]:
        if not self.num_temporal_levels:
            return []
        shapes_3d = [(num_frames, *shape) for shape in shapes[: self.num_temporal_levels]]
        return level_encodings(self.position_encoding_3d, self.level_encoding_3d, shapes_3d)

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


@MODELS.register_module()
class WithinClipPixelDecoder(ClipPixelDecoder):
    """`ClipPixelDecoder` with separate temporal layers between or instead of deformable ones.

    The encoder consists of the blocks of Video-kMaX's within-clip tracking module, which have no
    layer scale.

    Args:
        within_clip: arguments of `WithinClipEncoder`; by default levels, channels, heads, points
            and number of blocks are those of `encoder`.
        encoder, args, kwargs: as in `ClipPixelDecoder`.
    """

    encoder: WithinClipEncoder

    def __init__(self, *args, encoder: dict, within_clip: dict, **kwargs) -> None:
        super().__init__(*args, encoder=encoder, **kwargs)
        attention = encoder['layer_cfg']['self_attn_cfg']
        blocks = {name: attention[name] for name in ('num_levels', 'num_heads', 'num_points')}
        blocks |= dict(
            channels=attention['embed_dims'],
            num_blocks=encoder['num_layers'],
            feedforward_channels=encoder['layer_cfg']['ffn_cfg']['feedforward_channels'],
        )
        self.encoder = WithinClipEncoder(**{**blocks, **within_clip})
        # Unused, because the encoder has its own, but mmdet's `init_weights` expects it.
        self.level_encoding = None

    def init_weights(self) -> None:
        """Initialize as mmdet does, except for the encoder."""
        super().init_weights()
        self.encoder.init_weights()

    def _encode(
        self, tokens: list[Tensor], shapes: tuple[Shape, ...], num_frames: int
    ) -> Sequence[Tensor]:
        return self.encoder(tokens, shapes, num_frames)
