"""Names in the public release's Tube-Link checkpoints, and the names of the same tensors here.

Ours are those of mmdet 3.x's Mask2Former; the release is built on mmdet 2.x. To support another of
its models, add rules.
"""

import re
from collections.abc import Iterable

_ENCODER = r'(panoptic_head\.pixel_decoder\.encoder\.layers\.\d+)'
_DECODER = r'(panoptic_head\.transformer_decoder\.layers\.\d+)'
_CROSS_CLIP = 'panoptic_head.cross_clip'
_LAYER = rf'{_CROSS_CLIP}.layers.\1'

# What mmdet renamed between its versions 2 and 3.
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

_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (*_MMDET_RULES, *_WITHIN_CLIP_RULES, *_CROSS_CLIP_RULES)
)


def rename_release_tensor(name: str) -> str:
    """Our name of a tensor that the release calls `name`; many are called alike."""
    for pattern, replacement in _RULES:
        name = pattern.sub(replacement, name)
    return name


def is_release_state_dict(names: Iterable[str]) -> bool:
    """Whether any of the names is one that only the release (or mmdet 2.x) has."""
    return any(rename_release_tensor(name) != name for name in names)
