"""A stack of temporal layers, built by name from the registry."""

from torch import Tensor, nn

# The layers of this package register themselves.
from axialvs.layers.temporal import axial_trajectory, space_time  # noqa: F401
from axialvs.registry import TEMPORAL_LAYERS, get_registered


class TemporalEncoder(nn.Module):
    """Stack of temporal layers.

    Args:
        channels: C.
        type: name in `TEMPORAL_LAYERS`.
        num_layers: 1 to 4 in the paper.
        layer: further arguments of each layer.

    Raises:
        AxialVSError: if the name is not registered.
    """

    def __init__(
        self, channels: int, type: str = 'AxialTrajectory', num_layers: int = 1, **layer
    ) -> None:
        super().__init__()
        layer_class = get_registered(TEMPORAL_LAYERS, type, 'temporal_layer', 'layer', also='none')
        self.layers = nn.ModuleList(layer_class(channels, **layer) for _ in range(num_layers))

    def forward(self, features: Tensor, position: Tensor) -> Tensor:
        """Apply the layers.

        Args:
            features: (B, T, H, W, C).
            position: encoding, broadcastable to (B, T, H, W, C).

        Returns:
            (B, T, H, W, C).
        """
        for layer in self.layers:
            features = layer(features, position)
        return features


def build_temporal_encoder(channels: int, cfg: dict | None) -> TemporalEncoder | None:
    """Build a temporal encoder.

    Args:
        channels: C.
        cfg: further arguments of `TemporalEncoder`; None or `type='none'` for no temporal layer.
    """
    if cfg is None or cfg.get('type') == 'none':
        return None
    return TemporalEncoder(channels, **cfg)
