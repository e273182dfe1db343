"""kMaX-DeepLab's pixel decoder: axial blocks on coarse maps, bottleneck blocks on fine maps."""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmdet.registry import MODELS
from torch import Tensor, nn

from axialvs.layers.layer_norm_2d import LayerNorm2d
from axialvs.models.video_kmax.axial_attention import AxialAttention
from axialvs.models.video_kmax.conv_norm import ConvNormAct

# Ratio of a block's output channels to its base channels.
EXPANSION = 4


class DecodedPixels(NamedTuple):
    """Output of the pixel decoder."""

    mask_features: Tensor  # (B * T, C, H, W) at the finest level's size
    memory: list[Tensor]  # (B * T, C_l, H_l, W_l) of the other levels, from low to high resolution


@MODELS.register_module()
class KMaXPixelDecoder(nn.Module):
    """Decode backbone maps frame by frame, from low to high resolution.

    Args:
        in_channels: channels of the backbone maps, from high to low resolution.
        base_channels: base channels of the blocks of each level, from low to high resolution.
        num_blocks: number of blocks of each level, in the same order.
        num_axial_levels: number of (coarsest) levels with axial blocks; the others have bottleneck
            blocks.
        num_heads: heads of the axial attention.
        drop_path: drop path rate of each block.

    Attributes:
        out_channels: channels of the decoded maps, from low to high resolution.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        base_channels: Sequence[int] = (512, 256, 128, 64),
        num_blocks: Sequence[int] = (1, 5, 1, 1),
        num_axial_levels: int = 2,
        num_heads: int = 8,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if not len(in_channels) == len(base_channels) == len(num_blocks):
            raise ValueError(
                f'{len(in_channels)} in_channels, {len(base_channels)} base_channels and '
                f'{len(num_blocks)} num_blocks: the lengths must be equal'
            )
        self.out_channels = tuple(EXPANSION * base for base in base_channels)
        in_channels = list(in_channels)[::-1]
        self.input_norms = nn.ModuleList(LayerNorm2d(x) for x in in_channels)
        self.stages = nn.ModuleList()
        self.fuses = nn.ModuleList()
        channels = in_channels[0]
        for level, (base, count) in enumerate(zip(base_channels, num_blocks, strict=True)):
            stage = nn.Sequential()
            for _ in range(count):
                if level < num_axial_levels:
                    stage.append(AxialBlock(channels, base, num_heads, drop_path))
                else:
                    stage.append(BottleneckBlock(channels, base, drop_path))
                channels = EXPANSION * base
            self.stages.append(stage)
            if level + 1 < len(base_channels):
                finer = base_channels[level + 1]
                self.fuses.append(ResizedFuse(channels, in_channels[level + 1], finer))
                channels = finer

    def forward(self, feats: Sequence[Tensor]) -> DecodedPixels:
        """Decode `feats` (B * T, C_l, H_l, W_l), from high to low resolution."""
        inputs = [norm(x) for norm, x in zip(self.input_norms, feats[::-1], strict=True)]
        features, decoded = inputs[0], []
        for level, stage in enumerate(self.stages):
            features = stage(features)
            decoded.append(features)
            if level < len(self.fuses):
                features = self.fuses[level](features, inputs[level + 1])
        return DecodedPixels(decoded[-1], decoded[:-1])


class AxialBlock(nn.Module):
    """Residual block with axial attention between two 1x1 convolutions.

    Args:
        in_channels: C.
        base_channels: output channels divided by `EXPANSION`.
        num_heads: heads of the attention.
        drop_path: as in `KMaXPixelDecoder`.
    """

    def __init__(
        self, in_channels: int, base_channels: int, num_heads: int = 8, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        hidden, out_channels = 2 * base_channels, EXPANSION * base_channels
        self.conv1 = ConvNormAct(in_channels, hidden)
        self.attention = AxialAttention(hidden, base_channels, hidden, num_heads=num_heads)
        self.conv3 = ConvNormAct(hidden, out_channels, activation=False, norm_weight=0.0)
        self.shortcut = _shortcut(in_channels, out_channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor) -> Tensor:
        """Args: `features` (B, C, H, W). Returns (B, 4 * base channels, H, W)."""
        features = F.gelu(features)
        branch = F.gelu(self.attention(self.conv1(features)))
        return self.shortcut(features) + self.drop_path(self.conv3(branch))


class BottleneckBlock(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions; arguments as in `AxialBlock`."""

    def __init__(self, in_channels: int, base_channels: int, drop_path: float = 0.0) -> None:
        super().__init__()
        out_channels = EXPANSION * base_channels
        self.conv1 = ConvNormAct(in_channels, base_channels)
        self.conv2 = ConvNormAct(base_channels, base_channels, 3)
        self.conv3 = ConvNormAct(base_channels, out_channels, activation=False, norm_weight=0.0)
        self.shortcut = _shortcut(in_channels, out_channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor) -> Tensor:
        """Args: `features` (B, C, H, W). Returns (B, 4 * base channels, H, W)."""
        features = F.gelu(features)
        branch = self.conv2(self.conv1(features))
        return self.shortcut(features) + self.drop_path(self.conv3(branch))


class ResizedFuse(nn.Module):
    """Project a coarse and a fine map to the same channels, resize the coarse one and add them.

    Args:
        low_channels, high_channels: channels of the coarse and the fine map.
        out_channels: channels of the sum.
    """

    def __init__(self, low_channels: int, high_channels: int, out_channels: int) -> None:
        super().__init__()
        self.low_conv = ConvNormAct(low_channels, out_channels, activation=False)
        self.high_conv = ConvNormAct(high_channels, out_channels, activation=False)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Fuse `low` (B, C_l, h, w) and `high` (B, C_h, H, W) to (B, C, H, W)."""
        low = resize(self.low_conv(F.gelu(low)), high.shape[-2:])
        return low + self.high_conv(F.gelu(high))


def resize(features: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Resize maps (B, C, H, W) bilinearly.

    Args:
        features: the maps.
        size: (H, W) of the result.
        align_corners: by default, whether the width is odd: for an input of 32 n + 1 pixels, the
            first and last cells of all levels coincide.
    """
    if align_corners is None:
        align_corners = features.shape[-1] % 2 == 1
    return F.interpolate(features, tuple(size), mode='bilinear', align_corners=align_corners)


def _shortcut(in_channels: int, out_channels: int) -> nn.Module:
    if in_channels == out_channels:
        return nn.Identity()
    return ConvNormAct(in_channels, out_channels, activation=False)
