"""Offline checkpoints of the release: every tensor maps to one of the model of its config."""

import json
import re
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints.hub import CHECKPOINTS
from axialvs.checkpoints.key_mapping import adapt_state_dict
from axialvs.checkpoints.release import convert_release, recognize
from config_files import CONFIGS, load
from shrunk_configs import build_for_names

KEYS = Path(__file__).parents[1] / 'data' / 'release_keys'
PAPER = 'axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021.py'
BLOCK = re.compile(r'\.(conv_short_aggregate_layers|conv_norms|transformer_\w+_layers)\.3\.')
YOUTUBE_VIS, OVIS = 40, 25
# Backbone, classes, blocks -> number of tensors, and the entry on the release's page.
OFFLINE = {
    ('r50', YOUTUBE_VIS, 4): (895, ['youtubevis2021', 'youtubevis2022']),
    ('r50', OVIS, 6): (937, ['ovis']),
    ('swin-l', YOUTUBE_VIS, 4): (934, ['youtubevis2021', 'youtubevis2022']),
    ('swin-l', OVIS, 4): (934, ['ovis']),
}


def keys(name):
    return json.loads((KEYS / f'{name}.json').read_text())


def offline_release(backbone='r50', num_classes=YOUTUBE_VIS, num_blocks=4, num_queries=100):
    """Return tensors with the release's names and shapes, without storage.

    Cross-clip tensors come from its list of R50 with 4 blocks, the others from any backbone's.
    """
    near_online = keys('near_online_r50')
    new = {k: shape for k, shape in keys('offline_r50').items() if k not in near_online}
    assert sum(BLOCK.search(key) is not None for key in new) == 21
    for block in range(4, num_blocks):
        new |= {BLOCK.sub(rf'.\1.{block}.', k): new[k] for k in list(new) if BLOCK.search(k)}
    shapes = keys(f'near_online_{backbone.replace("-", "_")}') | new
    for name, shape in shapes.items():
        if '.cls_embed.' in name:
            shape[0] = num_classes + 1
        elif name.endswith(('query_embed.weight', 'query_feat.weight')):
            shape[0] = num_queries
    return {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}


def build(name):
    return build_for_names(load(name).model).state_dict()


@pytest.mark.parametrize('network', OFFLINE, ids=str)
def test_suggested_config_uses_every_tensor(network):
    count, data = OFFLINE[network]
    weights = offline_release(*network)
    release = recognize(weights)
    assert release.method == 'tube-link, offline'
    assert (release.backbone, release.num_classes, release.num_blocks) == network
    assert release.num_queries == 100
    stems = [Path(config).stem for config in release.configs]
    assert stems == [f'axialvs-cc_{network[0]}_8xb1-10k_{x}_release' for x in data]
    for config in release.configs:
        assert release.changes_to(load(config).model.panoptic_head) == {}
        homes = build(config)
        converted, our_name = convert_release(weights, homes)
        assert len(converted) == len(our_name) == len(weights) == count
        assert adapt_state_dict(converted, homes)[1].is_complete
    theirs = {ours: name for name, ours in our_name.items()}
    last = network[2] - 1
    assert theirs[f'panoptic_head.cross_clip.layers.{last}.temporal_aspp.convs.2.bias'] == (
        f'panoptic_head.conv_short_aggregate_layers.{last}._aspp_conv2.bias'
    )
    assert theirs['panoptic_head.cross_clip.clip_weight.weight'] == (
        'panoptic_head.activation_proj.weight'
    )


def test_model_size_is_inferred_from_the_tensors():
    weights = offline_release(num_classes=7, num_blocks=5, num_queries=50)
    release = recognize(weights)
    config = load(release.config)
    changes = release.changes_to(config.model.panoptic_head)
    assert changes == {
        'num_things_classes': 7,
        'loss_cls.class_weight': [1.0] * 7 + [0.1],
        'num_queries': 50,
        'cross_clip.num_layers': 5,
    }
    config.merge_from_dict({f'model.panoptic_head.{k}': v for k, v in changes.items()})
    convert_release(weights, build_for_names(config.model).state_dict())


def test_converted_weights_load_into_the_paper_model():
    """The release shares the predictors of refined queries with the clip head."""
    weights = offline_release()
    converted, _ = convert_release(weights, build(recognize(weights).config))
    fitting, report = adapt_state_dict(converted, build(PAPER))
    assert report.is_complete
    assert (
        fitting['panoptic_head.video_cls_embed.bias'] is converted['panoptic_head.cls_embed.bias']
    )


def test_configs_of_known_checkpoints_exist():
    for known in CHECKPOINTS.values():
        if known.config is not None:
            assert (CONFIGS / known.config).is_file(), known.name
