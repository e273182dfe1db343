"""Temporal attentions of the pixel decoder, selected by configuration."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config

from tiny_segmenter import tiny_config

EXTERNAL = """
from torch import nn
from axialvs.registry import TEMPORAL_LAYERS


@TEMPORAL_LAYERS.register_module()
class ChannelScale(nn.Module):
    def __init__(self, channels, init=1.0):
        super().__init__()
        self.scale = nn.Linear(channels, channels)
        nn.init.constant_(self.scale.weight, init)

    def forward(self, features, position):
        return self.scale(features + position)
"""


def pixel_decoder(temporal_layer):
    torch.manual_seed(0)
    head = tiny_config().model.panoptic_head
    config = dict(head.pixel_decoder, temporal_layer=temporal_layer)
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


def test_none_equals_plain_tube_link():
    plain, none = pixel_decoder(None), pixel_decoder(dict(type='none', num_levels=2))
    assert plain.state_dict().keys() == none.state_dict().keys()


def test_layer_from_outside_by_custom_imports(tmp_path, monkeypatch):
    (tmp_path / 'my_temporal_attention.py').write_text(EXTERNAL)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'config.py'
    path.write_text(
        "custom_imports = dict(imports=['my_temporal_attention'])\n"
        "temporal_layer = dict(type='ChannelScale', num_levels=1, init=2.0)\n"
    )
    decoder = pixel_decoder(Config.fromfile(path).temporal_layer)
    layer = decoder.encoder.layers[0].self_attn.temporal_layer.layers[0]
    assert type(layer).__name__ == 'ChannelScale'
    mask_features, _ = decoder(maps(), num_frames=2)
    assert mask_features.isfinite().all()
