"""Video-kMaX networks with weights from the fixtures' rule for the release's tensor names."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from release_weights import release_weight
from torch import Tensor, nn

from axialvs.checkpoints.release_names import rename_kmax_tensor

KEYS = Path(__file__).parents[1] / 'data' / 'release_keys'

R50 = dict(
    type='ResNet',
    depth=50,
    norm_cfg=dict(type='BN', eps=1e-3, momentum=0.01),
    norm_eval=False,
    style='pytorch',
)


def release_shapes(name: str) -> dict[str, list[int]]:
    """Return the shapes of a release model's tensors by name."""
    return json.loads((KEYS / f'{name}.json').read_text())


def build_head(
    num_things: int = 58,
    num_stuff: int = 66,
    in_channels: tuple[int, ...] = (256, 512, 1024, 2048),
    **settings,
) -> nn.Module:
    """Build the head of the release's models in eval mode."""
    head = MODELS.build(
        dict(
            type='VideoKMaXHead',
            num_things_classes=num_things,
            num_stuff_classes=num_stuff,
            in_channels=in_channels,
            pixel_decoder=dict(type='KMaXPixelDecoder'),
            **settings,
        )
    )
    return head.eval()


def fill(module: nn.Module, prefix: str, keys: str = 'video_kmax_r50') -> nn.Module:
    """Set the weights of a module.

    Args:
        module: a part of the network.
        prefix: name of the module in the network, with a trailing dot.
        keys: name of the release model.

    Raises:
        RuntimeError: if a tensor of the module is missing in the release or has a different shape.
    """
    ours = module.state_dict()
    weights = {}
    for name, shape in release_shapes(keys).items():
        renamed = rename_kmax_tensor(name).removeprefix(prefix)
        if renamed in ours and shape:
            weights[renamed] = release_weight(name, tuple(shape)).view(ours[renamed].shape)
    counters = {name: x for name, x in ours.items() if name.endswith('num_batches_tracked')}
    module.load_state_dict(weights | counters, assign=True)
    return module


def release_noise(name: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, seeded by a name."""
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy(draw.standard_normal(shape).astype(np.float32))
