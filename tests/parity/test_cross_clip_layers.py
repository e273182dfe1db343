"""The layers of the cross-clip tracking module match the release's with its weights."""

import torch
from release_weights import assert_agrees, fill_by_release_names

from axialvs.checkpoints.release_names import rename_release_tensor
from axialvs.layers.cross_clip.tracking import CrossClipLayer
from axialvs.layers.temporal_aspp import TemporalASPP

# In the release a block is spread over three lists; the fixtures' names start inside of one.
ATTENTION = 'panoptic_head.transformer_trajectory_self_attention_layers.0.'
ASPP = 'panoptic_head.conv_short_aggregate_layers.0.'
OURS = 'panoptic_head.cross_clip.layers.0.'


def name_in_layer(prefix: str, inner: str = ''):
    return lambda name: rename_release_tensor(prefix + name).removeprefix(OURS + inner)


@torch.no_grad()
def test_temporal_aspp(fixture_data, layer_shapes):
    data = fixture_data('temporal_aspp')
    aspp = TemporalASPP(
        data['x'].shape[1], data['kernel_sizes'].tolist(), data['atrous_rates'].tolist()
    ).eval()
    fill_by_release_names(
        aspp, layer_shapes['temporal_aspp'], name_in_layer(ASPP, 'temporal_aspp.')
    )
    assert_agrees(aspp(data['x']), data['out'])


@torch.no_grad()
def test_trajectory_layer(fixture_data, layer_shapes):
    data = fixture_data('cross_clip_trajectory_layer')
    layer = CrossClipLayer(data['x'].shape[-1], num_heads=data['num_heads']).eval()
    layer.temporal_aspp = layer.aspp_norm = None  # the fixture ends with the first norm
    fill_by_release_names(
        layer, layer_shapes['cross_clip_trajectory_layer'], name_in_layer(ATTENTION)
    )
    queries = data['x'].unflatten(1, (data['num_clips'], -1))
    out = layer.norm(queries + layer.trajectory_attn(queries))
    assert_agrees(out.flatten(1, 2), data['out'])
