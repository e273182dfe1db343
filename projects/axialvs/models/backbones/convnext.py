"""ConvNeXt V1 (Liu et al., 2022) and V2 (Woo et al., 2023) with TensorFlow's padding.

Parameter names are those of the official checkpoints.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from axialvs.layers.layer_norm_2d import LayerNorm2d
from axialvs.utils.errors import AxialVSError

# Name -> depths and channels of the four stages.
ARCHITECTURES = {
    'tiny': ((3, 3, 9, 3), (96, 192, 384, 768)),
    'small': ((3, 3, 27, 3), (96, 192, 384, 768)),
    'base': ((3, 3, 27, 3), (128, 256, 512, 1024)),
    'large': ((3, 3, 27, 3), (192, 384, 768, 1536)),
}

# Left, right, top, bottom.
_STEM_PADDING = (1, 2, 1, 2)
_DOWNSAMPLING_PADDING = (0, 1, 0, 1)


@MODELS.register_module()
class PaddedConvNeXt(BaseModule):
    """ConvNeXt with feature maps of size `ceil(input size / stride)`.

    The original ConvNeXt drops pixels beyond the last whole patch. Here, maps are padded before the
    norm of each downsampling step, so a padded cell equals the norm's bias. There are no output
    norms.

    Args:
        arch: a name in `ARCHITECTURES`.
        version: 1 scales each block by a learned factor, 2 normalizes global responses instead.
        drop_path_rate: drop path rate of the last block; it increases linearly from 0.
        layer_scale: initial value of version 1's factors.
        activation_checkpointing: whether blocks are recomputed in backward.
        arch_override: `(depths, channels)` instead of those of `arch`.
        init_cfg: initialization.
    """

    def __init__(
        self,
        arch: str = 'large',
        version: int = 1,
        drop_path_rate: float = 0.0,
        layer_scale: float = 1e-6,
        activation_checkpointing: bool = False,
        arch_override: tuple[Sequence[int], Sequence[int]] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if version not in (1, 2):
            raise AxialVSError(f'ConvNeXt: version is {version}; use 1 or 2')
        if arch_override is None and arch not in ARCHITECTURES:
            known = ', '.join(map(repr, ARCHITECTURES))
            raise AxialVSError(f"ConvNeXt: unknown arch '{arch}' (known: {known})")
        depths, channels = arch_override or ARCHITECTURES[arch]
        self.activation_checkpointing = activation_checkpointing
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, channels[0], 4, 4), LayerNorm2d(channels[0]))]
        )
        for before, after in itertools.pairwise(channels):
            self.downsample_layers.append(
                nn.Sequential(LayerNorm2d(before), nn.Conv2d(before, after, 2, 2))
            )
        last = max(sum(depths) - 1, 1)
        rates = (drop_path_rate * i / last for i in itertools.count())
        block = dict(layer_scale=layer_scale if version == 1 else None)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, next(rates), **block) for _ in range(depth)))
            for depth, width in zip(depths, channels, strict=True)
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps of strides 4, 8, 16 and 32 of frames (B, 3, H, W)."""
        features, maps = frames, []
        for i, (downsample, stage) in enumerate(
            zip(self.downsample_layers, self.stages, strict=True)
        ):
            features = downsample(F.pad(features, _DOWNSAMPLING_PADDING if i else _STEM_PADDING))
            for block in stage.children():
                if self.activation_checkpointing and self.training:
                    features = checkpoint(block, features, use_reentrant=False)
                else:
                    features = block(features)
            maps.append(features)
        return tuple(maps)


class Block(nn.Module):
    """Depthwise 7x7 convolution, norm and pointwise MLP.

    Args:
        channels: C.
        drop_path: drop path rate (stochastic depth).
        layer_scale: initial value of version 1's factors; None for a block of version 2.
    """

    def __init__(self, channels: int, drop_path: float, layer_scale: float | None) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.grn = GlobalResponseNorm(4 * channels) if layer_scale is None else nn.Identity()
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = None
        if layer_scale is not None:
            self.gamma = nn.Parameter(torch.full((channels,), float(layer_scale)))
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block to features (B, C, H, W)."""
        pixels = self.norm(self.dwconv(features).permute(0, 2, 3, 1))
        pixels = self.pwconv2(self.grn(F.gelu(self.pwconv1(pixels))))
        if self.gamma is not None:
            pixels = self.gamma * pixels
        return features + self.drop_path(pixels.permute(0, 3, 1, 2))


class GlobalResponseNorm(nn.Module):
    """Scale channels by their L2 norm over the whole map (GRN; ConvNeXt V2, Sec. 3.3).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale pixels (B, H, W, C) by the relative norms of their channels."""
        length = torch.linalg.vector_norm(pixels.float(), dim=(1, 2), keepdim=True)
        response = (length / (length.mean(-1, keepdim=True) + 1e-6)).to(pixels.dtype)
        return pixels + self.gamma * (pixels * response) + self.beta
