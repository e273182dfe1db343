"""Simple feature pyramid for plain vision transformers."""

import torch.nn.functional as F
from torch import Tensor, nn

from axialvs.layers.layer_norm_2d import LayerNorm2d


class SimplePyramid(nn.Module):
    """Convert a feature map of stride 16 to strides 4, 8, 16 and 32.

    Source: ViTDet (Li et al., 2022), Sec. 3, without the projections to a common width, which are
    in the pixel decoder.

    Args:
        channels: C of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.up4 = nn.Sequential(
            nn.ConvTranspose2d(channels, half, 2, stride=2),
            LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        )
        self.up2 = nn.ConvTranspose2d(channels, half, 2, stride=2)
        self.out_channels = [quarter, half, channels, channels]

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Compute the four maps from features (B, C, H, W)."""
        pooled = F.max_pool2d(features, 2, ceil_mode=True)
        return self.up4(features), self.up2(features), features, pooled
