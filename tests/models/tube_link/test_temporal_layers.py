"""Temporal attentions of the pixel decoder, selected by configuration."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config

from tiny_segmenter import tiny_config

EXTEND = Path(__file__).parents[3] / 'docs' / 'extend.md'


def pixel_decoder(temporal_layer, **options):
    torch.manual_seed(0)
    head = tiny_config().model.panoptic_head
    config = dict(head.pixel_decoder, temporal_layer=temporal_layer, **options)
    config.update(
        in_channels=head.in_channels,
        feat_channels=head.feat_channels,
        out_channels=head.out_channels,
        strides=head.get('strides', [4, 8, 16, 32]),
    )
    return MODELS.build(config)


def maps(num_frames=2):
    channels = tiny_config().model.panoptic_head.in_channels
    rng = torch.Generator().manual_seed(0)
    return [
        torch.randn(num_frames, c, 16 // 2**i, 24 // 2**i, generator=rng)
        for i, c in enumerate(channels)
    ]


@pytest.mark.parametrize('type', ['JointSpaceTime', 'WindowSpaceTime'])
def test_training_step(type):
    decoder = pixel_decoder(
        dict(type=type, num_levels=2, num_heads=2, feedforward_channels=8, layer_scale=0.1)
    )
    mask_features, memory = decoder(maps(), num_frames=2)
    (mask_features.square().mean() + sum(x.square().mean() for x in memory)).backward()
    names = [name for name, _ in decoder.named_parameters() if '.temporal_layer.' in name]
    assert names
    assert all(decoder.get_parameter(name).grad is not None for name in names)


def test_no_temporal_attention_equals_plain_tube_link():
    plain, none = pixel_decoder(None), pixel_decoder(dict(type='none', num_levels=2))
    assert plain.state_dict().keys() == none.state_dict().keys()


def within_clip_decoder(**within_clip):
    temporal = dict(num_heads=2, feedforward_channels=8)
    return pixel_decoder(
        None,
        type='WithinClipPixelDecoder',
        within_clip=dict(dict(num_blocks=2, temporal_layer=temporal), **within_clip),
    )


@pytest.mark.parametrize(
    'within_clip',
    [dict(), dict(deformable=False), dict(temporal_layer=None), dict(interleaved=False)],
    ids=['beside', 'alone', 'none', 'sequential'],
)
def test_training_step_of_blocks(within_clip):
    decoder = within_clip_decoder(**within_clip)
    decoder.init_weights()
    mask_features, memory = decoder(maps(), num_frames=2)
    (mask_features.square().mean() + sum(x.square().mean() for x in memory)).backward()
    assert all(x.grad is not None for x in decoder.parameters())


@torch.no_grad()
def test_deformable_blocks_equal_the_encoder():
    """Without temporal attention, the blocks compute what mmdet's encoder computes."""
    plain, blocks = pixel_decoder(None), within_clip_decoder(temporal_layer=None, num_blocks=1)
    weights = {
        name.replace('encoder.layers.', 'encoder.spatial_layers.'): value
        for name, value in plain.state_dict().items()
    }
    weights['encoder.level_encoding.weight'] = weights.pop('level_encoding.weight')
    blocks.load_state_dict(weights)
    for a, b in zip(plain(maps(), 2)[1], blocks(maps(), 2)[1], strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_custom_layer_of_the_documentation(tmp_path, monkeypatch):
    """Run the code of docs/extend.md."""
    section = EXTEND.read_text().partition('## A backbone')[0]
    code = re.findall(r'```python\n# (my_\w+\.py).*?\n(.*?)```', section, re.DOTALL)
    assert sum(len(text.splitlines()) for _, text in code) <= 40
    for name, text in code:
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    config = Config.fromfile(tmp_path / 'my_config.py')
    decoder = MODELS.build(config.model).panoptic_head.pixel_decoder
    layer = decoder.encoder.layers[0].self_attn.temporal_layer.layers[0]
    assert type(layer).__name__ == 'TimeOnly'
    features, position = torch.randn(2, 3, 2, 4, 64), torch.randn(1, 3, 2, 4, 64)
    changed = features.clone()
    changed[:, 0, 1, 2] += 1
    difference = (layer(changed, position) - layer(features, position)).abs().amax((0, 1, 4))
    assert (difference > 0).nonzero().tolist() == [[1, 2]]
