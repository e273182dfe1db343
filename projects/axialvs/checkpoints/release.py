"""Convert all weights of a public release checkpoint, or raise an error."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from axialvs.checkpoints.key_mapping import CLASS_BIAS, KMAX_CLASS_BIAS, QUERY_WEIGHTS
from axialvs.checkpoints.loading import CheckpointError
from axialvs.checkpoints.release_names import is_kmax, rename_release
from axialvs.utils.config_files import shipped_configs

# Identifies the backbones of the release: blocks in the third stage of a ResNet, channels of the
# first stage of a Swin Transformer or ConvNeXt.
_RESNET_BLOCKS = {6: 'r50', 23: 'r101'}
_SWIN_CHANNELS = {128: 'swin-b', 192: 'swin-l'}
_CONVNEXT_CHANNELS = {192: 'l'}

# Datasets by family and number of classes; the paper's test set comes first.
_DATASETS = {
    ('tube-link', 40): ('youtubevis2021', 'youtubevis2022'),
    ('tube-link', 25): ('ovis',),
    ('video-kmax', 124): ('vipseg',),
    ('video-kmax', 133): ('coco',),
}
_YOUTUBE_VIS = ('tube-link', 40)
# Config names with the release's settings, by family and stage.
_CONFIGS = {
    ('tube-link', 'plain'): 'tube_link/tube-link_{backbone}_8xb1-??k_{dataset}.py',
    ('tube-link', 'near-online'): 'axialvs/axialvs-wc_{backbone}_8xb1-??k_{dataset}_release.py',
    ('tube-link', 'offline'): 'axialvs/axialvs-cc_{backbone}_8xb1-??k_{dataset}_release.py',
    ('video-kmax', 'plain'): 'video_kmax/*kmax_{backbone}_*k_{dataset}.py',
    ('video-kmax', 'deformable'): 'video_kmax/*kmax_{backbone}_*k-deformable_{dataset}.py',
    ('video-kmax', 'near-online'): 'axialvs/axialvs-wc-kmax_{backbone}_*_{dataset}_release.py',
    ('video-kmax', 'offline'): 'axialvs/axialvs-cc-kmax_{backbone}_*_{dataset}.py',
}

_KMAX_QUERIES = 'panoptic_head.cluster_centers'  # (C, Q)
# Only used in training, and not in offline models.
_SEMANTIC_HEAD = 'panoptic_head.semantic_head.'

_BLOCK = re.compile(r'panoptic_head\.cross_clip\.layers\.(\d+)\.')


class ConversionError(CheckpointError):
    """Weights of the release do not fit a model of this project."""


@dataclass(frozen=True)
class ReleaseModel:
    """Model of a release checkpoint.

    Args:
        family: 'tube-link' or 'video-kmax'.
        stage: 'plain', 'deformable' (attention within frames), 'near-online' or 'offline'.
        backbone: such as 'r50' or 'swin-l', or 'unknown'.
        num_classes: N.
        num_queries: Q.
        num_blocks: N_c of the cross-clip tracking module; 0 if there is none.
    """

    family: str
    stage: str
    backbone: str
    num_classes: int
    num_queries: int
    num_blocks: int

    @property
    def method(self) -> str:
        """Family and stage for messages."""
        return self.family if self.stage == 'plain' else f'{self.family}, {self.stage}'

    @property
    def configs(self) -> tuple[str, ...]:
        """Shipped configs with the same network, relative to `configs/`, preferred one first.

        A Tube-Link model with a custom number of classes uses those of YouTube-VIS, see
        `changes_to`; for panoptic models, the split into things and stuff is unknown.
        """
        default = _DATASETS[_YOUTUBE_VIS] if self.family == 'tube-link' else ()
        datasets = _DATASETS.get((self.family, self.num_classes), default)
        pattern = _CONFIGS.get((self.family, self.stage))
        if pattern is None:
            return ()
        found = [
            shipped_configs(pattern.format(backbone=self.backbone, dataset=dataset))
            for dataset in datasets
        ]
        return tuple(config for configs in found for config in configs)

    @property
    def config(self) -> str | None:
        """The preferred config, if any config has the network."""
        return next(iter(self.configs), None)

    def changes_to(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """Return overrides for a config's `panoptic_head`, by dotted path."""
        changes = {}
        if self.family == 'tube-link' and head['num_things_classes'] != self.num_classes:
            no_object = head['loss_cls']['class_weight'][-1]
            changes['num_things_classes'] = self.num_classes
            changes['loss_cls.class_weight'] = [1.0] * self.num_classes + [no_object]
        if head['num_queries'] != self.num_queries:
            changes['num_queries'] = self.num_queries
        if self.num_blocks and head['cross_clip']['num_layers'] != self.num_blocks:
            changes['cross_clip.num_layers'] = self.num_blocks
        return changes


def recognize(state_dict: Mapping[str, Tensor]) -> ReleaseModel:
    """Recognize a checkpoint's model by tensor names and shapes.

    Raises:
        ConversionError: if a class layer or queries as in the release are missing.
    """
    ours = rename_release(state_dict)
    names = {ours[name]: tensor for name, tensor in state_dict.items()}
    kmax = is_kmax(state_dict)
    bias, queries = (KMAX_CLASS_BIAS, _KMAX_QUERIES) if kmax else (CLASS_BIAS, QUERY_WEIGHTS[0])
    for name in (bias, queries):
        if name not in names:
            raise ConversionError(
                f'there is no tensor {name}: this is not a checkpoint of the release'
            )
    blocks = {match[1] for name in names if (match := _BLOCK.match(name))}
    if blocks:
        stage = 'offline'
    elif any('.temporal_layer.' in name or '.temporal_layers.' in name for name in names):
        stage = 'near-online'
    elif any('.within_clip.' in name for name in names):
        stage = 'deformable'
    else:
        stage = 'plain'
    return ReleaseModel(
        'video-kmax' if kmax else 'tube-link',
        stage,
        _backbone(names),
        num_classes=len(names[bias]) - 1,
        num_queries=names[queries].shape[1 if kmax else 0],
        num_blocks=len(blocks),
    )


def convert_release(
    state_dict: Mapping[str, Tensor], homes: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename every tensor of the release as in the model.

    Only the auxiliary semantic head is dropped, if the model has none (offline models).

    Args:
        state_dict: the release's tensors by name.
        homes: `state_dict()` of the model.

    Returns:
        The tensors by our names, and the mapping from the release's names to ours.

    Raises:
        ConversionError: if a tensor is not in the model, two have the same new name, the model has
            more tensors, or a shape differs; the message lists the names.
    """
    our_name = rename_release(state_dict)
    if not any(name.startswith(_SEMANTIC_HEAD) for name in homes):
        our_name = {
            name: ours for name, ours in our_name.items() if not ours.startswith(_SEMANTIC_HEAD)
        }
    converted = {
        ours: _without_kernel(state_dict[name], homes.get(ours)) for name, ours in our_name.items()
    }
    problems = {
        'are not in the model': [
            f'{name} (as {ours})' if ours != name else name
            for name, ours in our_name.items()
            if ours not in homes
        ],
        'of the model are missing in the checkpoint': [
            name for name in homes if name not in converted
        ],
        'have a different shape': [
            f'{name} {tuple(converted[name].shape)}, in the model {tuple(home.shape)}'
            for name, home in homes.items()
            if name in converted and converted[name].shape != home.shape
        ],
    }
    if len(converted) != len(our_name):
        ours = list(our_name.values())
        problems['share their new name with another tensor'] = [
            name for name, home in our_name.items() if ours.count(home) > 1
        ]
    found = [
        f'{len(names)} tensors {problem}:\n  ' + '\n  '.join(names)
        for problem, names in problems.items()
        if names
    ]
    if found:
        raise ConversionError('\n'.join(found))
    return converted, our_name


def _without_kernel(tensor: Tensor, home: Tensor | None) -> Tensor:
    """View the weight of a 1x1 convolution as that of a linear layer."""
    if home is not None and tensor.shape == (*home.shape, 1):
        return tensor.squeeze(-1)
    return tensor


def _backbone(names: Mapping[str, Tensor]) -> str:
    blocks = {name.split('.')[2] for name in names if name.startswith('backbone.layer3.')}
    patches = names.get('backbone.patch_embed.projection.weight')
    stem = names.get('backbone.downsample_layers.0.0.weight')
    if blocks:
        return _RESNET_BLOCKS.get(len(blocks), 'unknown')
    if patches is not None:
        return _SWIN_CHANNELS.get(len(patches), 'unknown')
    if stem is not None and len(stem) in _CONVNEXT_CHANNELS:
        version = 'v2' if 'backbone.stages.0.0.grn.gamma' in names else ''
        return f'convnext{version}-{_CONVNEXT_CHANNELS[len(stem)]}'
    return 'unknown'
