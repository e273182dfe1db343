"""Within-clip tracking module: deformable attention per frame, temporal attention per clip."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.models.layers import DeformableDetrTransformerEncoderLayer
from mmdet.models.layers.positional_encoding import (
    SinePositionalEncoding,
    SinePositionalEncoding3D,
)
from mmengine import ConfigDict
from torch import Tensor, nn

from axialvs.functional.ms_deform_attn import Backend, Shape
from axialvs.layers.deformable_attention import ClipDeformableAttention
from axialvs.layers.position_encoding import (
    CachedPositionEncoding,
    ShapeCache,
    cell_centers,
    level_encodings,
)
from axialvs.layers.temporal.encoder import TemporalEncoder, build_temporal_encoder


class WithinClipEncoder(nn.Module):
    """Blocks of deformable attention within frames and temporal attention over the clip.

    Args:
        num_levels: number of feature levels.
        temporal_layer: arguments of each block's `TemporalEncoder`; None or `type='none'` for
            deformable attention only, as in pre-training on images.
        num_temporal_levels: coarsest levels with temporal attention.
        channels: C.
        num_blocks: N_w; 2 in the paper.
        num_heads, num_points: heads and sampling points of deformable attention.
        feedforward_channels: width of the deformable layers' feed-forward networks.
        deformable: whether there are deformable layers; otherwise temporal attention only.
        interleaved: whether each deformable layer is followed by its temporal layers; otherwise all
            deformable layers precede all temporal layers.
        sampling_backend: see `ms_deform_attn`.

    Raises:
        ValueError: if there are fewer levels than `num_temporal_levels`.
    """

    def __init__(
        self,
        num_levels: int,
        temporal_layer: dict | None = None,
        num_temporal_levels: int = 2,
        channels: int = 256,
        num_blocks: int = 2,
        num_heads: int = 8,
        num_points: int = 4,
        feedforward_channels: int = 1024,
        deformable: bool = True,
        interleaved: bool = True,
        sampling_backend: Backend = 'auto',
    ) -> None:
        super().__init__()
        encoders = [build_temporal_encoder(channels, temporal_layer) for _ in range(num_blocks)]
        temporal_layers = [x for x in encoders if x is not None]
        if not temporal_layers:
            num_temporal_levels = 0
        if num_temporal_levels > num_levels:
            raise ValueError(
                f'num_temporal_levels is {num_temporal_levels}, but there are {num_levels} levels'
            )
        attention = dict(
            embed_dims=channels,
            num_heads=num_heads,
            num_levels=num_levels,
            num_points=num_points,
            dropout=0.0,
            batch_first=True,
        )
        spatial_layer = ConfigDict(
            self_attn_cfg=attention,
            ffn_cfg=dict(
                embed_dims=channels, feedforward_channels=feedforward_channels, ffn_drop=0.0
            ),
        )
        self.spatial_layers = nn.ModuleList()
        for _ in range(num_blocks if deformable else 0):
            layer = DeformableDetrTransformerEncoderLayer(**spatial_layer)
            layer.self_attn = ClipDeformableAttention(backend=sampling_backend, **attention)
            self.spatial_layers.append(layer)
        self.temporal_layers = nn.ModuleList(temporal_layers)
        self.interleaved = interleaved
        if deformable:
            self.level_encoding = nn.Embedding(num_levels, channels)
            self.position_encoding = CachedPositionEncoding(
                SinePositionalEncoding(num_feats=channels // 2, normalize=True)
            )
        self.num_temporal_levels = num_temporal_levels
        if num_temporal_levels:
            self.level_encoding_3d = nn.Embedding(num_temporal_levels, channels)
            self.position_encoding_3d = CachedPositionEncoding(
                SinePositionalEncoding3D(num_feats=channels // 2, normalize=True)
            )
        self._reference_points = ShapeCache(cell_centers)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialize layers with Xavier uniform, deformable attention as mmcv does."""
        for child in self.children():
            if isinstance(child, nn.Embedding):
                nn.init.normal_(child.weight)
                continue
            for parameter in child.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, ClipDeformableAttention):
                module.init_weights()

    def forward(
        self, levels: Sequence[Tensor], shapes: tuple[Shape, ...], num_frames: int
    ) -> list[Tensor]:
        """Attend within frames and over the clip.

        Args:
            levels: tokens (B * T, H_l * W_l, C), from low to high resolution, clip by clip.
            shapes: (H_l, W_l) of each level.
            num_frames: T.

        Returns:
            Tokens of the same shapes, in the same order.
        """
        levels, device = list(levels), levels[0].device
        encodings: list[Tensor] = []
        encodings_3d: list[Tensor] = []
        if self.spatial_layers:
            encodings = level_encodings(self.position_encoding, self.level_encoding, shapes)
        if self.num_temporal_levels:
            shapes_3d = [(num_frames, *shape) for shape in shapes[: self.num_temporal_levels]]
            encodings_3d = level_encodings(
                self.position_encoding_3d, self.level_encoding_3d, shapes_3d
            )
        for layer in self._layers():
            if isinstance(layer, TemporalEncoder):
                for i, encoding_3d in enumerate(encodings_3d):
                    maps = levels[i].unflatten(1, shapes[i]).unflatten(0, (-1, num_frames))
                    levels[i] = layer(maps, encoding_3d).flatten(0, 1).flatten(1, 2)
            else:
                tokens = layer(
                    query=torch.cat(levels, dim=1),
                    query_pos=torch.cat([x.flatten(1, 2) for x in encodings], dim=1),
                    key_padding_mask=None,
                    spatial_shapes=shapes,
                    reference_points=self._reference_points(shapes, device),
                )
                levels = list(tokens.split([h * w for h, w in shapes], dim=1))
        return levels

    def _layers(self) -> list[nn.Module]:
        """Return the layers in the order in which they are applied."""
        spatial, temporal = list(self.spatial_layers), list(self.temporal_layers)
        if not self.interleaved or not spatial or not temporal:
            return [*spatial, *temporal]
        return [x for block in zip(spatial, temporal, strict=True) for x in block]

    @property
    def layers(self) -> nn.ModuleList:
        """All layers, for mmdet's initialization."""
        return nn.ModuleList(self._layers())


class WithinClipTracking(WithinClipEncoder):
    """Neck between a backbone and a frame-wise decoder, with input and output convolutions.

    Used in Video-kMaX (Axial-VS Sec. 3.2, Fig. 3): the output replaces the input, with no residual
    connection around the module.

    Args:
        in_channels: channels of the maps, from high to low resolution.
        channels: C of the blocks.
        num_groups: groups of the group norms after the input and output convolutions.
        blocks: further arguments of `WithinClipEncoder`.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024, 2048),
        *,
        channels: int = 256,
        num_groups: int = 32,
        **blocks,
    ) -> None:
        super().__init__(len(in_channels), channels=channels, **blocks)
        in_channels = list(in_channels)[::-1]
        norm = dict(norm_cfg=dict(type='GN', num_groups=num_groups), act_cfg=None, bias=True)
        self.input_convs = nn.ModuleList(ConvModule(x, channels, 1, **norm) for x in in_channels)
        self.output_convs = nn.ModuleList(ConvModule(channels, x, 1, **norm) for x in in_channels)
        self.init_weights()

    def forward(self, feats: Sequence[Tensor], num_frames: int) -> list[Tensor]:  # type: ignore[override]
        """Attend within frames and over the clip.

        Args:
            feats: maps (B * T, C_l, H_l, W_l), from high to low resolution, clip by clip.
            num_frames: T.

        Returns:
            Maps of the same shapes, in the same order.
        """
        inputs = feats[::-1]
        shapes = tuple((x.shape[-2], x.shape[-1]) for x in inputs)
        levels = [
            conv(x).flatten(2).transpose(1, 2)
            for conv, x in zip(self.input_convs, inputs, strict=True)
        ]
        levels = super().forward(levels, shapes, num_frames)
        outputs = [
            conv(x.transpose(1, 2).unflatten(-1, shape))
            for conv, x, shape in zip(self.output_convs, levels, shapes, strict=True)
        ]
        return outputs[::-1]
