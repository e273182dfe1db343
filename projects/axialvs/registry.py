"""The scope `axialvs` for mmengine: what a config of this project names, whoever inherits it.

Parts are registered with mmdet's registries. A config that inherits `axialvs::tube_link/...` asks
for them in the scope `axialvs`, so every registry of mmdet gets an empty child of that scope, which
finds them in its parent.
"""

from typing import Any

import mmdet.registry
import mmengine.registry
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

from axialvs.utils.errors import AxialVSError

SCOPE = 'axialvs'


def _make_child(parent: Registry) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=[f'{SCOPE}.register'])


CHILDREN = {
    name: _make_child(registry)
    for name, registry in vars(mmdet.registry).items()
    if isinstance(registry, Registry) and registry.scope == 'mmdet'
}

# Modules of classes for sharded training, by registry. They import torch.distributed.fsdp and
# .optim, 1.4 s of CPU time: `axialvs.register` defers them until their registry is searched.
SHARDING_MODULES = {
    'MODEL_WRAPPERS': 'mmengine.model.wrappers.fully_sharded_distributed',
    'OPTIMIZERS': 'mmengine.optim.optimizer.zero_optimizer',
    'STRATEGIES': 'mmengine._strategy.fsdp',
}
for _name, _module in SHARDING_MODULES.items():
    for _registries in (vars(mmengine.registry), vars(mmdet.registry), CHILDREN):
        if _name in _registries:
            _registries[_name]._locations.append(_module)

# Temporal attentions of the within-clip tracking module: `(channels, **options)` makes a module
# `(features (B, T, H, W, C), position) -> (B, T, H, W, C)`.
TEMPORAL_LAYERS = Registry(
    'temporal layer', scope=SCOPE, locations=['axialvs.layers.temporal.encoder']
)

# Cross-clip tracking: `(channels, **options)` makes a `CrossClipModule`, which maps the queries
# (B, K, Q, C) of all clips to the outputs (B, K, Q, C) of its blocks.
CROSS_CLIP_DESIGNS = Registry(
    'cross-clip design', scope=SCOPE, locations=['axialvs.layers.cross_clip.designs']
)

# Lets mmengine find the configs in the installed package.
MODULE2PACKAGE.setdefault(SCOPE, SCOPE)


def get_registered(registry: Registry, name: str, setting: str, kind: str, also: str = '') -> Any:
    """Look a class up by its name.

    Args:
        registry: of the classes.
        name: from a config.
        setting: of the config that holds the name, for messages.
        kind: what the classes are, for messages.
        also: further names that the setting takes, for messages.

    Raises:
        AxialVSError: if the name is not registered.
    """
    found = registry.get(name)
    if found is None:
        known = ', '.join([*sorted(registry.module_dict), *([also] if also else [])])
        raise AxialVSError(
            f"{setting}: unknown type '{name}' (known: {known}); custom_imports must name the "
            f'module of a {kind} of your own'
        )
    return found
