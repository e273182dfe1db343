"""Tests of the converter's key mapping on the complete key lists of the release's checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints.release import (
    ConversionError,
    convert_release,
    recognize,
)
from axialvs.checkpoints.release_names import (
    is_release_state_dict,
    rename_release,
    rename_release_tensor,
)
from config_files import load
from shrunk_configs import build_for_names

KEYS = Path(__file__).parents[1] / 'data' / 'release_keys'
ENCODER = 'panoptic_head.pixel_decoder.encoder.layers.5'
DECODER = 'panoptic_head.transformer_decoder.layers.8'


def release_weights(name: str) -> dict[str, torch.Tensor]:
    """Return tensors with the release's names and shapes that take no memory."""
    shapes = json.loads((KEYS / f'{name}.json').read_text())
    return {key: torch.zeros(1).expand(shape or (1,)) for key, shape in shapes.items()} | {
        key: torch.tensor(0) for key, shape in shapes.items() if not shape
    }


def model_weights(config: str) -> dict[str, torch.Tensor]:
    return build_for_names(load(config).model).state_dict()


@pytest.mark.parametrize(
    ('release', 'ours'),
    [
        (f'{ENCODER}.attentions.0.value_proj.bias', f'{ENCODER}.self_attn.value_proj.bias'),
        (f'{ENCODER}.attentions.0.gamma', f'{ENCODER}.self_attn.gamma'),
        (f'{ENCODER}.ffns.0.layers.0.0.bias', f'{ENCODER}.ffn.layers.0.0.bias'),
        (f'{ENCODER}.norms.1.bias', f'{ENCODER}.norms.1.bias'),
        (
            f'{ENCODER}.attentions.0.temporal_layer.temporal_layers.0.width_attn.proj_kv.bias',
            f'{ENCODER}.self_attn.temporal_layer.layers.0.width_attn.proj_kv.bias',
        ),
        (f'{DECODER}.attentions.0.attn.in_proj_bias', f'{DECODER}.cross_attn.attn.in_proj_bias'),
        (f'{DECODER}.attentions.1.attn.in_proj_bias', f'{DECODER}.self_attn.attn.in_proj_bias'),
        (f'{DECODER}.ffns.0.layers.1.weight', f'{DECODER}.ffn.layers.1.weight'),
        (
            'panoptic_head.pixel_decoder.level_3d_encodeing.weight',
            'panoptic_head.pixel_decoder.level_encoding_3d.weight',
        ),
        (
            'panoptic_head.transformer_trajectory_self_attention_layers.3.self_attn.qkv.weight',
            'panoptic_head.cross_clip.layers.3.trajectory_attn.qkv.weight',
        ),
        (
            'panoptic_head.conv_short_aggregate_layers.2._aspp_conv1.bias',
            'panoptic_head.cross_clip.layers.2.temporal_aspp.convs.1.bias',
        ),
        (
            'panoptic_head.conv_short_aggregate_layers.2._proj_conv_bn_act.conv.weight',
            'panoptic_head.cross_clip.layers.2.temporal_aspp.proj.weight',
        ),
        ('panoptic_head.conv_norms.0.bias', 'panoptic_head.cross_clip.layers.0.aspp_norm.bias'),
        ('panoptic_head.activation_proj.bias', 'panoptic_head.cross_clip.clip_weight.bias'),
        (
            'backbone.stages.0.blocks.0.ffn.layers.0.0.bias',
            'backbone.stages.0.blocks.0.ffn.layers.0.0.bias',
        ),
    ],
)
def test_names(release, ours):
    assert rename_release_tensor(release) == ours
    assert rename_release_tensor(ours) == ours


@pytest.mark.parametrize(
    ('name', 'stage', 'backbone'),
    [
        ('near_online_r50', 'near-online', 'r50'),
        ('near_online_swin_l', 'near-online', 'swin-l'),
        ('offline_r50', 'offline', 'r50'),
    ],
)
def test_models_are_recognized(name, stage, backbone):
    weights = release_weights(name)
    model = recognize(weights)
    assert (model.stage, model.backbone, model.num_classes) == (stage, backbone, 40)
    assert is_release_state_dict(weights)
    assert not is_release_state_dict(map(rename_release_tensor, weights))


def test_offline_names_are_mapped_uniquely():
    weights = release_weights('offline_r50')
    ours = {rename_release_tensor(name) for name in weights}
    assert len(ours) == len(weights) == 895
    near_online = {rename_release_tensor(name) for name in release_weights('near_online_r50')}
    assert len(ours - near_online) == 86
    assert all('.cross_clip.' in name for name in ours - near_online)


@pytest.mark.parametrize(
    ('name', 'count'),
    [('near_online_r50', 809), ('near_online_swin_l', 848), ('offline_r50', 895)],
)
def test_every_tensor_is_mapped(name, count):
    weights = release_weights(name)
    homes = model_weights(recognize(weights).config)
    converted, our_name = convert_release(weights, homes)
    assert len(our_name) == len(converted) == len(homes) == count
    assert {name: tensor.shape for name, tensor in converted.items()} == {
        name: tensor.shape for name, tensor in homes.items()
    }


def test_plain_tube_link_loads_into_the_baseline():
    weights = {
        name: tensor
        for name, tensor in release_weights('near_online_r50').items()
        if not any(new in name for new in ('temporal_layer', 'gamma', 'level_3d'))
    }
    model = recognize(weights)
    assert (model.family, model.stage) == ('tube-link', 'plain')
    converted, _ = convert_release(weights, model_weights(model.config))
    assert len(converted) == 610


def test_unmapped_tensors_are_listed():
    homes = {'a': torch.zeros(2), 'b': torch.zeros(1), 'c': torch.zeros(1)}
    weights = {'a': torch.zeros(3), 'stray': torch.zeros(1), 'b': torch.zeros(1)}
    with pytest.raises(ConversionError) as error:
        convert_release(weights, homes)
    assert '\n  stray' in str(error.value)
    assert '1 tensors of the model are missing in the checkpoint:\n  c' in str(error.value)
    assert 'a (3,), in the model (2,)' in str(error.value)


def test_two_tensors_with_the_same_new_name_raise():
    old, new = f'{ENCODER}.attentions.0.gamma', f'{ENCODER}.self_attn.gamma'
    with pytest.raises(ConversionError, match='2 tensors share their new name'):
        convert_release({old: torch.ones(1), new: torch.ones(1)}, {new: torch.ones(1)})


def test_other_networks_are_not_recognized():
    with pytest.raises(ConversionError, match='cls_embed'):
        recognize({'backbone.conv1.weight': torch.zeros(1)})


# A keys file of Video-kMaX lists the parts of both stages; these are missing in a stage.
WITHIN_CLIP, CROSS_CLIP = 'sem_seg_head.wc_module.', 'cross_clip_tracking_module.'
SEMANTIC = 'sem_seg_head.predictor._auxiliary_semantic_predictor.'
NETWORKS = {'r50': 0, 'convnext_l': 28, 'convnextv2_l': 64}  # tensors beyond ResNet-50's
KMAX_STAGES = {
    'near-online': ((CROSS_CLIP,), 1603),
    'offline': ((SEMANTIC,), 1628),
    'plain': ((CROSS_CLIP, WITHIN_CLIP), 1417),
}


def panoptic_weights(name: str, lacking: tuple[str, ...]) -> dict[str, torch.Tensor]:
    weights = release_weights(name)
    return {key: x for key, x in weights.items() if not key.startswith(lacking)}


@pytest.mark.parametrize('backbone', NETWORKS)
@pytest.mark.parametrize('stage', KMAX_STAGES)
def test_video_kmax_on_vipseg(stage, backbone):
    lacking, count = KMAX_STAGES[stage]
    weights = panoptic_weights(f'video_kmax_{backbone}', lacking)
    model = recognize(weights)
    assert (model.family, model.stage) == ('video-kmax', stage)
    assert (model.num_classes, model.num_queries) == (124, 128)
    assert f'_{backbone.replace("_", "-")}_' in model.config
    check_panoptic(weights, model.config, count + NETWORKS[backbone])


@pytest.mark.parametrize(
    ('stage', 'lacking', 'count'),
    [('plain', (WITHIN_CLIP,), 1417), ('deformable', (), 1474)],
)
@pytest.mark.parametrize('backbone', NETWORKS)
def test_kmax_on_coco(stage, lacking, count, backbone):
    weights = panoptic_weights('kmax_coco_r50', lacking)
    if backbone != 'r50':  # the release has no list of its keys
        weights = with_backbone(weights, release_weights(f'video_kmax_{backbone}'))
    model = recognize(weights)
    assert (model.family, model.stage, model.num_classes) == ('video-kmax', stage, 133)
    assert f'_{backbone.replace("_", "-")}_' in model.config
    check_panoptic(weights, model.config, count + NETWORKS[backbone])


def with_backbone(weights: dict, source: dict) -> dict:
    """Replace the backbone and every tensor whose shape depends on it."""
    prefixes = ('backbone.', 'sem_seg_head.pixel_decoder.')
    class_rows = 134
    rest = {
        name: x if x.dim() and len(x) == class_rows else source.get(name, x)
        for name, x in weights.items()
        if not name.startswith(prefixes)
    }
    return rest | {name: x for name, x in source.items() if name.startswith(prefixes)}


def test_both_spellings_of_the_predictor():
    weights = release_weights('kmax_coco_r50')
    correct = {name: name.replace('_predcitor', '_predictor') for name in weights}
    assert sum(name != other for name, other in correct.items()) == 224
    ours = rename_release(weights)
    assert [*rename_release(correct.values()).values()] == [*ours.values()]


def check_panoptic(weights: dict, config: str, count: int) -> None:
    homes = model_weights(config)
    converted, our_name = convert_release(weights, homes)
    assert len(our_name) == len(converted) == len(weights) == count
    assert {name: x.shape for name, x in converted.items()} == {
        name: x.shape for name, x in homes.items()
    }
    assert not is_release_state_dict(our_name.values())


def test_offline_model_omits_only_the_semantic_head():
    weights = release_weights('video_kmax_r50')
    homes = model_weights(recognize(weights).config)
    _, our_name = convert_release(weights, homes)
    left_out = weights.keys() - our_name.keys()
    assert len(left_out) == 86
    assert all(name.startswith(SEMANTIC) for name in left_out)
    with pytest.raises(ConversionError, match='cross_clip_tracking_module'):
        convert_release(weights, model_weights('axialvs/axialvs-wc-kmax_r50_16xb2-40k_vipseg.py'))


def test_panoptic_model_of_unknown_classes_has_no_config():
    weights = release_weights('video_kmax_r50')
    bias = 'sem_seg_head.predictor._predictor._transformer_class_head.conv.bias'
    weights[bias] = torch.zeros(12)
    assert recognize(weights).configs == ()
