"""Cross-clip designs by name."""

# The designs of this package register themselves.
from axialvs.layers.cross_clip import tracking, vita  # noqa: F401
from axialvs.layers.cross_clip.base import CrossClipModule
from axialvs.registry import CROSS_CLIP_DESIGNS, get_registered


def build_cross_clip(channels: int, cfg: dict) -> CrossClipModule:
    """Build a cross-clip design.

    Args:
        channels: C.
        cfg: `type`, a name in `CROSS_CLIP_DESIGNS`, the paper's by default, and its arguments.

    Raises:
        AxialVSError: if the name is not registered.
    """
    options = dict(cfg)
    name = options.pop('type', 'Trajectory')
    design = get_registered(CROSS_CLIP_DESIGNS, name, 'cross_clip', 'design')
    return design(channels, **options)
