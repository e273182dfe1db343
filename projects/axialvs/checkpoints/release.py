"""Turns the weights of the public release into those of this project, all of them or none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from axialvs.checkpoints.key_mapping import CLASS_BIAS, QUERY_WEIGHTS, rename_release_tensor
from axialvs.checkpoints.loading import CheckpointError
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

_BLOCK = re.compile(r'panoptic_head\.cross_clip\.layers\.(\d+)\.')


class ConversionError(CheckpointError):
    """Weights of the release and a model of this project do not go together."""


@dataclass(frozen=True)
class ReleaseModel:
    """Which of the release's models a checkpoint holds.

    Args:
        method: 'tube-link' (no tracking module), 'near-online' or 'offline'.
        backbone: 'r50', 'swin-l' and the like, or 'unknown'.
        num_classes: N.
        num_queries: Q.
        num_blocks: N_c of the cross-clip tracking module; 0 where there is none.
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
        pattern = _CONFIGS[self.method]
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
        """What a config's `panoptic_head` has to have instead, by dotted path."""
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
    """Tells a checkpoint's model by its names and shapes.

    Raises:
        ConversionError: There are no class layer and queries where the release has them.
    """
    names = {rename_release_tensor(name): tensor for name, tensor in state_dict.items()}
    for name in (CLASS_BIAS, *QUERY_WEIGHTS):
        if name not in names:
            raise ConversionError(
                f'no tensor is called {name}: this is no Tube-Link checkpoint of the release'
            )
    method = 'tube-link'
    if any('.temporal_layer.' in name for name in names):
        method = 'near-online'
    blocks = {match[1] for name in names if (match := _BLOCK.match(name))}
    if blocks:
        method = 'offline'
    return ReleaseModel(
        method,
        _backbone(names),
        num_classes=len(names[CLASS_BIAS]) - 1,
        num_queries=len(names[QUERY_WEIGHTS[0]]),
        num_blocks=len(blocks),
    )


def convert_release(
    state_dict: Mapping[str, Tensor], homes: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Renames every tensor of the release to the tensor of the model that it is.

    Args:
        state_dict: The release's tensors by name.
        homes: The model's `state_dict()`.

    Returns:
        The tensors by our names, and our name of each of the release's.

    Raises:
        ConversionError: A tensor has no home, two have the same, a home stays empty or a shape
            differs; the message lists the names.
    """
    our_name = {name: rename_release_tensor(name) for name in state_dict}
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
