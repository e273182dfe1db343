"""Convert the weights of the public release, all of them or none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from axialvs.checkpoints.key_mapping import CLASS_BIAS, QUERY_WEIGHTS
from axialvs.checkpoints.loading import CheckpointError
from axialvs.checkpoints.release_names import is_kmax, rename_release
from axialvs.utils.config_files import shipped_configs

# Blocks in the third stage of a ResNet, channels of a Swin Transformer's first: enough to tell
# the backbones of the release.
_RESNET_BLOCKS = {6: 'r50', 23: 'r101'}
_SWIN_CHANNELS = {128: 'swin-b', 192: 'swin-l'}

# Data sets by their number of classes; the paper's test set of each comes first.
_DATASETS = {40: ('youtubevis2021', 'youtubevis2022'), 25: ('ovis',)}
_YOUTUBE_VIS = 40
# Names of the configs with the release's settings.
_CONFIGS = {
    'tube-link': 'tube_link/tube-link_{backbone}_8xb1-??k_{dataset}.py',
    'near-online': 'axialvs/axialvs-wc_{backbone}_8xb1-??k_{dataset}_release.py',
    'offline': 'axialvs/axialvs-cc_{backbone}_8xb1-??k_{dataset}_release.py',
}

# Class layer and cluster centers (C, Q) of Video-kMaX.
_KMAX_BIAS = 'panoptic_head.predictor.cls_embed.bias'
_KMAX_QUERIES = 'panoptic_head.cluster_centers'
_METHODS = {
    ('tube-link', 'plain'): 'tube-link',
    ('tube-link', 'near-online'): 'near-online',
    ('tube-link', 'offline'): 'offline',
    ('video-kmax', 'plain'): 'video-kmax',
    ('video-kmax', 'near-online'): 'video-kmax near-online',
    ('video-kmax', 'offline'): 'video-kmax offline',
}

_BLOCK = re.compile(r'panoptic_head\.cross_clip\.layers\.(\d+)\.')


class ConversionError(CheckpointError):
    """Weights of the release do not fit a model of this project."""


@dataclass(frozen=True)
class ReleaseModel:
    """Model that a checkpoint of the release holds.

    Args:
        method: a value of `_METHODS`; 'near-online' and 'offline' alone are Tube-Link's.
        backbone: 'r50', 'swin-l' and the like, or 'unknown'.
        num_classes: N.
        num_queries: Q.
        num_blocks: N_c of the cross-clip tracking module; 0 without it.
    """

    method: str
    backbone: str
    num_classes: int
    num_queries: int
    num_blocks: int

    @property
    def configs(self) -> tuple[str, ...]:
        """Shipped configs with the same network, relative to `configs/`, preferred one first.

        A model with a different number of classes gets those of YouTube-VIS, see `changes_to`.
        """
        datasets = _DATASETS.get(self.num_classes, _DATASETS[_YOUTUBE_VIS])
        pattern = _CONFIGS.get(self.method)
        if pattern is None:
            return ()
        found = [
            shipped_configs(pattern.format(backbone=self.backbone, dataset=dataset))
            for dataset in datasets
        ]
        return tuple(config for configs in found for config in configs)

    @property
    def config(self) -> str | None:
        """The preferred config, if any has the network."""
        return next(iter(self.configs), None)

    def changes_to(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings of a config's `panoptic_head` to replace, by dotted path."""
        changes = {}
        if head['num_things_classes'] != self.num_classes:
            no_object = head['loss_cls']['class_weight'][-1]
            changes['num_things_classes'] = self.num_classes
            changes['loss_cls.class_weight'] = [1.0] * self.num_classes + [no_object]
        if head['num_queries'] != self.num_queries:
            changes['num_queries'] = self.num_queries
        if self.num_blocks and head['cross_clip']['num_layers'] != self.num_blocks:
            changes['cross_clip.num_layers'] = self.num_blocks
        return changes


def recognise(state_dict: Mapping[str, Tensor]) -> ReleaseModel:
    """Recognize a checkpoint's model by its names and shapes.

    Raises:
        ConversionError: if there are no class layer and queries as in the release.
    """
    ours = rename_release(state_dict)
    names = {ours[name]: tensor for name, tensor in state_dict.items()}
    kmax = is_kmax(state_dict)
    bias, queries = (_KMAX_BIAS, _KMAX_QUERIES) if kmax else (CLASS_BIAS, QUERY_WEIGHTS[0])
    for name in (bias, queries):
        if name not in names:
            raise ConversionError(
                f'there is no tensor {name}: this is not a checkpoint of the release'
            )
    blocks = {match[1] for name in names if (match := _BLOCK.match(name))}
    tracks = any('.temporal_layer.' in name or '.within_clip.' in name for name in names)
    method = 'offline' if blocks else 'near-online' if tracks else 'plain'
    family = 'video-kmax' if kmax else 'tube-link'
    return ReleaseModel(
        _METHODS[family, method],
        _backbone(names),
        num_classes=len(names[bias]) - 1,
        num_queries=names[queries].shape[1 if kmax else 0],
        num_blocks=len(blocks),
    )


def convert_release(
    state_dict: Mapping[str, Tensor], homes: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename every tensor of the release as in the model.

    Args:
        state_dict: the release's tensors by name.
        homes: `state_dict()` of the model.

    Returns:
        The tensors by our names, and our name of each of the release's.

    Raises:
        ConversionError: if a tensor is not in the model, two are the same one, the model has more
            or a shape differs; the message lists the names.
    """
    our_name = rename_release(state_dict)
    converted = {our_name[name]: tensor for name, tensor in state_dict.items()}
    problems = {
        'have no home in the model': [
            f'{name} (as {ours})' if ours != name else name
            for name, ours in our_name.items()
            if ours not in homes
        ],
        'of the model are missing in the checkpoint': [
            name for name in homes if name not in converted
        ],
        'have another shape': [
            f'{name} {tuple(converted[name].shape)}, in the model {tuple(home.shape)}'
            for name, home in homes.items()
            if name in converted and converted[name].shape != home.shape
        ],
    }
    if len(converted) != len(our_name):
        ours = list(our_name.values())
        problems['share a home with another'] = [
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


def _backbone(names: Mapping[str, Tensor]) -> str:
    blocks = {name.split('.')[2] for name in names if name.startswith('backbone.layer3.')}
    if blocks:
        return _RESNET_BLOCKS.get(len(blocks), 'unknown')
    patches = names.get('backbone.patch_embed.projection.weight')
    return 'unknown' if patches is None else _SWIN_CHANNELS.get(len(patches), 'unknown')
