"""Convolution, batch norm and GELU, initialized as in DeepLab2."""

import torch
from torch import Tensor, nn

# TensorFlow's defaults, in torch's convention.
BATCH_NORM_EPS, BATCH_NORM_MOMENTUM = 1e-3, 0.01


def batch_norm_1d(channels: int) -> nn.BatchNorm1d:
    """Build a batch norm for (B, C, n)."""
    return nn.BatchNorm1d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


def batch_norm_2d(channels: int) -> nn.BatchNorm2d:
    """Build a batch norm for (B, C, H, W)."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


@torch.no_grad()
def trunc_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill with TensorFlow's truncated normal: cut at two standard deviations, then scaled."""
    return nn.init.trunc_normal_(tensor, std=1.0, a=-2.0, b=2.0).mul_(std)


class ConvNormAct(nn.Module):
    """Convolution with same padding, batch norm and GELU.

    Args:
        in_channels, out_channels: of the convolution.
        kernel_size: odd kernel size.
        dims: 1 for queries (B, C, Q), 2 for maps (B, C, H, W).
        dilation: dilation of the convolution.
        depthwise: whether the convolution is depthwise.
        bias: whether the convolution has a bias.
        activation: whether GELU follows the norm.
        std: initial standard deviation; (2 / in_channels) ** 0.5 for all kernel sizes by default.
        norm_weight: initial weight of the norm; 0 makes a residual branch the identity.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        dims: int = 2,
        dilation: int = 1,
        depthwise: bool = False,
        bias: bool = False,
        activation: bool = True,
        std: float | None = None,
        norm_weight: float = 1.0,
    ) -> None:
        super().__init__()
        conv, norm = (nn.Conv1d, batch_norm_1d) if dims == 1 else (nn.Conv2d, batch_norm_2d)
        self.conv = conv(
            in_channels,
            out_channels,
            kernel_size,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=in_channels if depthwise else 1,
            bias=bias,
        )
        self.norm = norm(out_channels)
        self.activation = nn.GELU() if activation else nn.Identity()
        if depthwise:
            nn.init.xavier_uniform_(self.conv.weight)
        else:
            trunc_normal_(self.conv.weight, (2 / in_channels) ** 0.5 if std is None else std)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        nn.init.constant_(self.norm.weight, norm_weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map `features` (B, in_channels, ...) to (B, out_channels, ...)."""
        return self.activation(self.norm(self.conv(features)))
