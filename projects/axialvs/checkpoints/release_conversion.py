"""Turns the weights of the public release into those of this project, all of them or none."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from axialvs.checkpoints.adapting import CLASS_BIAS
from axialvs.checkpoints.loading import CheckpointError
from axialvs.checkpoints.release_names import rename_release_tensor

# Blocks in the third stage of a ResNet, channels of a Swin Transformer's first: enough to tell
# the backbones of the release.
_RESNET_BLOCKS = {6: 'r50', 23: 'r101'}
_SWIN_CHANNELS = {128: 'swin-b', 192: 'swin-l'}

_CONFIGS = {
    ('tube-link', 'r50'): 'tube_link/tube-link_r50_8xb1-15k_youtubevis2021.py',
    ('tube-link', 'swin-l'): 'tube_link/tube-link_swin-l_8xb1-10k_youtubevis2021.py',
    ('near-online', 'r50'): 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021_release.py',
    ('near-online', 'swin-l'): 'axialvs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021_release.py',
    ('offline', 'r50'): 'axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021_release.py',
}


class ConversionError(CheckpointError):
    """Weights of the release and a model of this project do not go together."""


@dataclass(frozen=True)
class ReleaseModel:
    """Which of the release's models a checkpoint holds.

    Args:
        method: 'tube-link' (no tracking module), 'near-online' or 'offline'.
        backbone: 'r50', 'swin-l' and the like, or 'unknown'.
        num_classes: N.
    """

    method: str
    backbone: str
    num_classes: int

    @property
    def config(self) -> str | None:
        """The config of this project with the same network, relative to `configs/`."""
        return _CONFIGS.get((self.method, self.backbone))


def recognise(state_dict: Mapping[str, Tensor]) -> ReleaseModel:
    """Tells a checkpoint's model by its names and shapes.

    Raises:
        ConversionError: There is no class layer where the release has one.
    """
    names = {rename_release_tensor(name): tensor for name, tensor in state_dict.items()}
    if CLASS_BIAS not in names:
        raise ConversionError(
            f'no tensor is called {CLASS_BIAS}: this is no Tube-Link checkpoint of the release'
        )
    method = 'tube-link'
    if any('.temporal_layer.' in name for name in names):
        method = 'near-online'
    if any('.cross_clip.' in name for name in names):
        method = 'offline'
    return ReleaseModel(method, _backbone(names), len(names[CLASS_BIAS]) - 1)


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
