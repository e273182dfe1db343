"""Offline checkpoints of the release: every tensor has a home in the model of its config."""

import json
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine import Config

from axialvs.checkpoints import adapt_state_dict
from axialvs.checkpoints.release_conversion import convert_release, recognise

ROOT = Path(__file__).parents[2]
PAPER = 'axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021.py'


def build(name):
    with torch.device('meta'):
        return MODELS.build(Config.fromfile(ROOT / 'configs' / name).model)


def release_weights():
    """Names and shapes of the release's, without storage."""
    shapes = json.loads((ROOT / 'tests/data/release_keys/offline_r50.json').read_text())
    return {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}


def test_no_tensor_is_left_over():
    weights = release_weights()
    release = recognise(weights)
    assert (release.method, release.backbone, release.num_classes) == ('offline', 'r50', 40)
    converted, our_name = convert_release(weights, build(release.config).state_dict())
    assert len(converted) == len(our_name) == len(weights) == 895
    block = 'panoptic_head.cross_clip.layers.3.'
    theirs = {ours: name for name, ours in our_name.items()}
    assert theirs[f'{block}temporal_aspp.convs.2.bias'] == (
        'panoptic_head.conv_short_aggregate_layers.3._aspp_conv2.bias'
    )
    assert theirs['panoptic_head.cross_clip.clip_weight.weight'] == (
        'panoptic_head.activation_proj.weight'
    )


def test_converted_weights_fill_the_papers_model():
    """Its predictors for refined queries are the release's shared ones."""
    weights = release_weights()
    converted, _ = convert_release(weights, build(recognise(weights).config).state_dict())
    fitting, report = adapt_state_dict(converted, build(PAPER).state_dict())
    assert report.is_complete
    assert (
        fitting['panoptic_head.video_cls_embed.bias'] is converted['panoptic_head.cls_embed.bias']
    )
