"""Base class of temporal layers: residual attention, norm, feed-forward network, norm."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class TemporalLayer(nn.Module, ABC):
    """Attention over the feature map of a clip, followed by a feed-forward network.

    Args:
        channels: C.
        attentions: attention modules by attribute name.
        feedforward_channels: width of the feed-forward network.
        dropout: dropout on the output of each attention before the residual sum.
        ffn_dropout: dropout inside the feed-forward network; 0 as released.
    """

    def __init__(
        self,
        channels: int,
        attentions: Mapping[str, nn.Module],
        feedforward_channels: int = 1024,
        dropout: float = 0.1,
        ffn_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, module in attentions.items():
            self.add_module(name, module)
        self.dropout = nn.Dropout(dropout)
        self.norm1 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, feedforward_channels)
        self.linear2 = nn.Linear(feedforward_channels, channels)
        self.activation = nn.ReLU(inplace=True)
        self.ffn_dropout = nn.Dropout(ffn_dropout)
        self.norm2 = nn.LayerNorm(channels)

    @abstractmethod
    def attend(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend, including the residual sums; all shapes are (B, T, H, W, C)."""

    def forward(self, features: Tensor, position: Tensor) -> Tensor:
        """Attend and apply the feed-forward network.

        Args:
            features: (B, T, H, W, C).
            position: encoding, broadcastable to (B, T, H, W, C).

        Returns:
            (B, T, H, W, C).
        """
        features = self.norm1(self.attend(features, position.expand_as(features)))
        hidden = self.ffn_dropout(self.activation(self.linear1(features)))
        return self.norm2(features + self.ffn_dropout(self.linear2(hidden)))
