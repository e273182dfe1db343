"""Cross-clip designs by name."""

# The designs of this package register themselves.
from axialvs.layers.cross_clip import tracking, vita  # noqa: F401
from axialvs.layers.cross_clip.base import CrossClipModule
from axialvs.registry import CROSS_CLIP_DESIGNS
from axialvs.utils.errors import AxialVSError


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
    design = CROSS_CLIP_DESIGNS.get(name)
    if design is None:
        known = ', '.join(sorted(CROSS_CLIP_DESIGNS.module_dict))
        raise AxialVSError(
            f"cross_clip: unknown type '{name}' (known: {known}); custom_imports must name the "
            'module of a design of your own'
        )
    return design(channels, **options)
