"""Map tensor names of the public release's checkpoints to ours.

The rules for Tube-Link are in this module, those for Video-kMaX in `release_names_kmax`.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from axialvs.checkpoints.release_names_kmax import RULES as _KMAX_RULES

_ENCODER = r'(panoptic_head\.pixel_decoder\.encoder\.layers\.\d+)'
_DECODER = r'(panoptic_head\.transformer_decoder\.layers\.\d+)'
_CROSS_CLIP = 'panoptic_head.cross_clip'
_LAYER = rf'{_CROSS_CLIP}.layers.\1'

# Renamed from mmdet 2.x to 3.x.
_MMDET_RULES = (
    (rf'{_ENCODER}\.attentions\.0\.', r'\1.self_attn.'),
    (rf'{_ENCODER}\.ffns\.0\.', r'\1.ffn.'),
    (rf'{_DECODER}\.attentions\.0\.', r'\1.cross_attn.'),
    (rf'{_DECODER}\.attentions\.1\.', r'\1.self_attn.'),
    (rf'{_DECODER}\.ffns\.0\.', r'\1.ffn.'),
)

# The within-clip tracking module.
_WITHIN_CLIP_RULES = (
    (r'\.level_3d_encodeing\.', '.level_encoding_3d.'),
    (r'\.temporal_layer\.temporal_layers\.', '.temporal_layer.layers.'),
)

# The cross-clip tracking module.
_CROSS_CLIP_RULES = (
    (
        r'panoptic_head\.transformer_trajectory_self_attention_layers\.(\d+)\.self_attn\.',
        rf'{_LAYER}.trajectory_attn.',
    ),
    (
        r'panoptic_head\.transformer_trajectory_self_attention_layers\.(\d+)\.norm\.',
        rf'{_LAYER}.norm.',
    ),
    (
        r'panoptic_head\.conv_short_aggregate_layers\.(\d+)\._aspp_conv(\d+)\.',
        rf'{_LAYER}.temporal_aspp.convs.\2.',
    ),
    (
        r'panoptic_head\.conv_short_aggregate_layers\.(\d+)\._proj_conv_bn_act\.conv\.',
        rf'{_LAYER}.temporal_aspp.proj.',
    ),
    (
        r'panoptic_head\.conv_short_aggregate_layers\.(\d+)\._proj_conv_bn_act\.norm\.',
        rf'{_LAYER}.temporal_aspp.norm.',
    ),
    (r'panoptic_head\.conv_norms\.(\d+)\.', rf'{_LAYER}.aspp_norm.'),
    (r'panoptic_head\.activation_proj\.', f'{_CROSS_CLIP}.clip_weight.'),
)

_RULES = (*_MMDET_RULES, *_WITHIN_CLIP_RULES, *_CROSS_CLIP_RULES)

# Prefix of tensors in all checkpoints of Video-kMaX, and no others.
_KMAX_PREFIX = 'sem_seg_head.'


def _renaming(rules: Sequence[tuple[str, str]]) -> Callable[[str], str]:
    """Return a function that applies rules (pattern, replacement) in order."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def rename(name: str) -> str:
        for pattern, replacement in compiled:
            name = pattern.sub(replacement, name)
        return name

    return rename


rename_release_tensor = _renaming(_RULES)
rename_kmax_tensor = _renaming(_KMAX_RULES)


def is_kmax(names: Iterable[str]) -> bool:
    """Return whether the names are from the release's Video-kMaX."""
    return any(name.startswith(_KMAX_PREFIX) for name in names)


def rename_release(names: Iterable[str]) -> dict[str, str]:
    """Map the names of a release checkpoint to ours; many are unchanged."""
    names = list(names)
    rename = rename_kmax_tensor if is_kmax(names) else rename_release_tensor
    return {name: rename(name) for name in names}


def is_release_state_dict(names: Iterable[str]) -> bool:
    """Return whether any name is specific to the release or mmdet 2.x."""
    return any(name != ours for name, ours in rename_release(names).items())
