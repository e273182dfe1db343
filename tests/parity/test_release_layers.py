"""Each layer matches the public release's to 1e-4 of the output's scale."""

import torch
from mmdet.models.layers.positional_encoding import SinePositionalEncoding3D
from release_weights import assert_agrees, fill_by_release_names

from axialvs.checkpoints.release_names import rename_release_tensor
from axialvs.layers.deformable_attention import TemporalDeformableAttention
from axialvs.layers.position_encoding import CachedPositionEncoding
from axialvs.layers.temporal.axial_trajectory import AxialTrajectoryLayer
from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.tracking.matching import match_queries


def test_trajectory_attention(fixture_data, layer_shapes):
    data = fixture_data('trajectory_attention')
    attention = TrajectoryAttention(data['value'].shape[-1], data['num_heads'])
    fill_by_release_names(attention, layer_shapes['trajectory_attention'])
    assert_agrees(attention(data['query_key'], data['value'], data['num_frames']), data['out'])


def test_axial_trajectory_layer(fixture_data, layer_shapes):
    data = fixture_data('axial_trajectory_layer')
    layer = AxialTrajectoryLayer(data['src'].shape[-1], data['num_heads'], data['ffn_channels'])
    fill_by_release_names(layer, layer_shapes['axial_trajectory_layer'])
    features = data['src'].view(-1, data['num_frames'], data['height'], data['width'], 64)
    out = layer.eval()(features, data['pos'])
    assert_agrees(out.view(data['out'].shape), data['out'])


def test_deformable_axial_trajectory_attention(fixture_data, layer_shapes):
    data = fixture_data('deformable_axial_trajectory_attention')
    attention = TemporalDeformableAttention(
        temporal_layer=dict(num_levels=2, num_heads=8, feedforward_channels=128),
        embed_dims=64,
        num_heads=4,
        num_levels=3,
        num_points=4,
        batch_first=True,
    )
    # The fixture's names start inside the network's names, where the rules expect a dot.
    shapes = layer_shapes['deformable_axial_trajectory_attention']
    fill_by_release_names(
        attention, shapes, lambda name: rename_release_tensor(f'.{name}').removeprefix('.')
    )
    out = attention.eval()(
        query=data['query'].transpose(0, 1),
        query_pos=data['query_pos'].transpose(0, 1),
        reference_points=data['reference_points'],
        spatial_shapes=[tuple(shape) for shape in data['spatial_shapes'].tolist()],
        num_frames=data['num_frames'],
        positions_3d=[data['pos3d_0'], data['pos3d_1']],
    )
    assert_agrees(out.transpose(0, 1), data['out'])


def test_position_encoding_3d(fixture_data):
    data = fixture_data('position_encoding_3d')
    encoding = CachedPositionEncoding(
        SinePositionalEncoding3D(num_feats=data['num_feats'], normalize=True)
    )
    _, *size = data['shape'].tolist()
    encoded = encoding(tuple(size), torch.device('cpu'))
    assert_agrees(encoded.permute(0, 1, 4, 2, 3), data['out'])


def test_query_matching(fixture_data):
    data = fixture_data('query_matching')
    assert torch.equal(match_queries(data['target'], data['current']), data['indices'])
