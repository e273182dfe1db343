"""Auxiliary semantic head for training (DeepLabv3+, Chen et al., 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from axialvs.models.video_kmax.conv_norm import ConvNormAct, trunc_normal_
from axialvs.models.video_kmax.pixel_decoder import resize


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling.

    Args:
        in_channels: channels of the input.
        channels: channels of each branch and of the output.
        rates: atrous rates of the 3x3 convolutions.
        dropout: dropout on the output.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 256,
        rates: Sequence[int] = (6, 12, 18),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList([ConvNormAct(in_channels, channels)])
        self.convs.extend(ConvNormAct(in_channels, channels, 3, dilation=rate) for rate in rates)
        self.pool = ConvNormAct(in_channels, channels)
        self.proj = ConvNormAct(channels * (len(self.convs) + 1), channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Map `features` (B, C, H, W) to (B, channels, H, W)."""
        branches = [conv(features) for conv in self.convs]
        pooled = self.pool(features.mean((2, 3), keepdim=True))
        branches.append(pooled.expand(-1, -1, *features.shape[-2:]))
        return self.dropout(self.proj(torch.cat(branches, dim=1)))


class SemanticHead(nn.Module):
    """Predict semantic logits at the size of the finest map.

    Args:
        in_channels: channels of the maps of strides 4, 8 and 32.
        num_classes: N; the output has an additional void class, as in the mask heads.
        channels: channels of the hidden maps.
        low_level_channels: channels that the maps of strides 8 and 4 are projected to.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        channels: int = 256,
        low_level_channels: Sequence[int] = (64, 32),
    ) -> None:
        super().__init__()
        stride4, stride8, stride32 = in_channels
        self.aspp = ASPP(stride32, channels)
        self.low_level_convs = nn.ModuleList(
            ConvNormAct(x, y) for x, y in zip((stride8, stride4), low_level_channels, strict=True)
        )
        self.fusions = nn.ModuleList(_separable(channels + x, channels) for x in low_level_channels)
        self.conv = _separable(channels, channels)
        self.classifier = nn.Conv2d(channels, num_classes + 1, 1)
        trunc_normal_(self.classifier.weight, 0.01)
        assert self.classifier.bias is not None
        nn.init.zeros_(self.classifier.bias)

    def forward(self, stride4: Tensor, stride8: Tensor, stride32: Tensor) -> Tensor:
        """Predict (B, N + 1, H, W) at the size of `stride4` from maps (B, C_l, H_l, W_l)."""
        features = self.aspp(stride32)
        align_corners = stride32.shape[-1] % 2 == 1
        for finer, conv, fusion in zip(
            (stride8, stride4), self.low_level_convs, self.fusions, strict=True
        ):
            resized = resize(features, finer.shape[-2:], align_corners)
            features = fusion(torch.cat((resized, conv(finer)), dim=1))
        return self.classifier(self.conv(features))


def _separable(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, in_channels, 5, depthwise=True),
        ConvNormAct(in_channels, out_channels),
    )
