"""Tests of the layers that `--fsdp` gathers one at a time."""

import pytest
from mmdet.registry import MODELS

from axialvs.engine.sharded_runner import layers_of
from config_files import load

CONFIGS = [
    'axialvs/axialvs-cc_tiny_1xb2-400_movingshapes.py',
    'axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py',
    'axialvs/axialvs-cc-kmax_tiny_1xb2-1200_movingshapes-panoptic.py',
]


@pytest.mark.parametrize('name', CONFIGS)
def test_sharded_layers_cover_most_parameters_once(name):
    model = MODELS.build(load(name).model)
    held = [id(x) for layer in layers_of(model) for x in layer.parameters()]
    assert len(held) == len(set(held))
    sizes = {id(x): x.numel() for x in model.parameters()}
    assert sum(sizes[x] for x in held) > 0.8 * sum(sizes.values())
