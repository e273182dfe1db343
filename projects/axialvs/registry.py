"""The scope `axialvs` for mmengine, so that other projects can inherit configs of this one.

Classes are registered with mmdet's registries. A config that inherits `axialvs::tube_link/...`
looks them up in the scope `axialvs`, so every registry of mmdet gets an empty child of that scope,
which falls back to its parent.
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

# Modules for sharded training, by registry. They import torch.distributed.fsdp and .optim, which
# takes 1.4 s of CPU time: `axialvs.register` defers them until their registry is searched.
SHARDING_MODULES = {
    'MODEL_WRAPPERS': 'mmengine.model.wrappers.fully_sharded_distributed',
    'OPTIMIZERS': 'mmengine.optim.optimizer.zero_optimizer',
    'STRATEGIES': 'mmengine._strategy.fsdp',
}
for _name, _module in SHARDING_MODULES.items():
    for _registries in (vars(mmengine.registry), vars(mmdet.registry), CHILDREN):
        if _name in _registries:
            _registries[_name]._locations.append(_module)

# Temporal attentions of the within-clip tracking module: `(channels, **options)` creates a module
# `(features (B, T, H, W, C), position) -> (B, T, H, W, C)`.
TEMPORAL_LAYERS = Registry(
    'temporal layer', scope=SCOPE, locations=['axialvs.layers.temporal.encoder']
)

# Cross-clip tracking: `(channels, **options)` creates a `CrossClipModule`, which maps the queries
# (B, K, Q, C) of all clips to the outputs (B, K, Q, C) of its blocks.
CROSS_CLIP_DESIGNS = Registry(
    'cross-clip design', scope=SCOPE, locations=['axialvs.layers.cross_clip.designs']
)

# Package in which mmengine looks for the configs of the scope.
MODULE2PACKAGE.setdefault(SCOPE, SCOPE)


def get_registered(registry: Registry, name: str, setting: str, kind: str, also: str = '') -> Any:
    """Look up a class by name.

    Args:
        registry: where to look.
        name: name in a config.
        setting: config setting with the name, for messages.
        kind: kind of class, for messages.
        also: additional valid value of the setting, for messages.

    Raises:
        AxialVSError: if the name is not registered.
    """
    found = registry.get(name)
    if found is None:
        known = ', '.join([*sorted(registry.module_dict), *([also] if also else [])])
        raise AxialVSError(
            f"{setting}: unknown type '{name}' (known: {known}); add the module of a custom {kind} "
            'to custom_imports'
        )
    return found
