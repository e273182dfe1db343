"""Tests of the Video-kMaX network on tiny sizes: shapes, batches, lengths, training."""

from math import ceil

import pytest
import torch
from mmdet.registry import MODELS

from axialvs.checkpoints.key_mapping import fill_video_predictors
from axialvs.models.backbones.convnext import PaddedConvNeXt
from axialvs.models.cross_clip_refiner import CrossClipRefiner
from axialvs.models.video_kmax.axial_attention import LineAttention
from axialvs.models.video_kmax.head import stack_frames, unstack_frames
from axialvs.models.video_kmax.matching import ClipTargets

IN_CHANNELS = (8, 16, 24, 32)
NUM_CLASSES, NUM_QUERIES = 5, 7


def build_tiny_head(**settings):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='VideoKMaXHead',
            num_things_classes=3,
            num_stuff_classes=2,
            in_channels=IN_CHANNELS,
            pixel_decoder=dict(
                type='KMaXPixelDecoder',
                base_channels=(16, 16, 8, 8),
                num_blocks=(1, 1, 1, 1),
                num_heads=2,
            ),
            within_clip=dict(
                channels=32,
                num_heads=2,
                feedforward_channels=32,
                num_groups=8,
                temporal_layer=dict(num_layers=1, num_heads=2, feedforward_channels=32),
            ),
            semantic_head=dict(channels=16, low_level_channels=(8, 8)),
            num_queries=NUM_QUERIES,
            channels=32,
            mask_channels=16,
            layers_per_level=(1, 1, 1),
            decoder_layer=dict(num_heads=2, feedforward_channels=32),
        )
        | settings
    )
    # Residual branches are initialized to zero, which would hide their layers.
    for module in head.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return head.eval()


def random_maps(num_frames, height=33, width=49):
    return [
        torch.randn(num_frames, channels, height // stride + 1, width // stride + 1)
        for channels, stride in zip(IN_CHANNELS, (4, 8, 16, 32), strict=True)
    ]


@torch.no_grad()
def test_shapes():
    head = build_tiny_head()
    decoding = head(random_maps(6, 32, 64), num_frames=3)
    assert [x.shape for x in decoding.class_logits] == [(2, NUM_QUERIES, NUM_CLASSES + 1)] * 4
    sizes = [(2, 3), (3, 5), (5, 9), (9, 17)]
    assert [x.shape for x in decoding.mask_logits] == [(2, NUM_QUERIES, 3, *x) for x in sizes]
    assert [x.shape for x in decoding.pixel_features] == [(2, 16, 3, *x) for x in sizes]
    assert decoding.mask_embeddings.shape == (2, NUM_QUERIES, 16)
    assert decoding.queries.shape == (2, NUM_QUERIES, 32)
    assert decoding.semantic_logits.shape == (2, NUM_CLASSES + 1, 3, 9, 17)
    for features in decoding.pixel_features:
        torch.testing.assert_close(features.norm(dim=1), torch.ones(features[:, 0].shape))


@torch.no_grad()
def test_clips_of_a_batch_are_independent():
    # In double precision, since rounding can move a pixel to another cluster.
    head = build_tiny_head().double()
    maps = [x.double() for x in random_maps(4)]
    both = head(maps, num_frames=2)
    for i in range(2):
        alone = head([x[2 * i : 2 * i + 2] for x in maps], num_frames=2)
        for name in ('class_logits', 'mask_logits', 'pixel_features'):
            for batched, single in zip(getattr(both, name), getattr(alone, name), strict=True):
                torch.testing.assert_close(batched[i], single[0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(both.semantic_logits[i], alone.semantic_logits[0])


@torch.no_grad()
def test_last_layer_only_is_equal():
    head = build_tiny_head()
    maps = random_maps(2)
    everything = head(maps, num_frames=2)
    last = head(maps, num_frames=2, all_layers=False)
    assert len(last.class_logits) == len(last.mask_logits) == len(last.pixel_features) == 1
    assert last.semantic_logits is None
    assert torch.equal(last.class_logits[0], everything.class_logits[-1])
    assert torch.equal(last.mask_logits[0], everything.mask_logits[-1])


@torch.no_grad()
def test_frames_interact_in_temporal_attention():
    head = build_tiny_head()
    maps = random_maps(2)
    before = head.within_clip(maps[1:], num_frames=2)
    maps[3][1] += 1
    after = head.within_clip(maps[1:], num_frames=2)
    assert not torch.allclose(before[2][0], after[2][0])
    alone = head.within_clip(maps[1:], num_frames=1)
    maps[3][1] -= 1
    torch.testing.assert_close(head.within_clip(maps[1:], num_frames=1)[2][0], alone[2][0])


def test_every_parameter_is_trained():
    head = build_tiny_head().train()
    decoding = head(random_maps(4), num_frames=2)
    outputs = (*decoding.class_logits, *decoding.mask_logits, *decoding.pixel_features)
    sum((x * torch.randn_like(x)).sum() for x in (*outputs, decoding.semantic_logits)).backward()
    without = [name for name, x in head.named_parameters() if x.grad is None]
    assert without == []


def test_residual_branches_start_at_zero():
    head = MODELS.build(
        dict(
            type='VideoKMaXHead',
            num_things_classes=1,
            num_stuff_classes=0,
            in_channels=IN_CHANNELS,
            pixel_decoder=dict(
                type='KMaXPixelDecoder', base_channels=(8, 8, 8, 8), num_axial_levels=1
            ),
            channels=16,
        )
    )
    head.init_weights()
    for layer in head.decoder_layers:
        for conv in (layer.kmeans_out, layer.self_attn_out, layer.ffn[1]):
            assert not conv.norm.weight.any()
        assert layer.predictor.mask_norm.weight.item() == pytest.approx(0.1)


@pytest.mark.parametrize('axis', ['height', 'width'])
@torch.no_grad()
def test_lines_are_independent(axis):
    torch.manual_seed(0)
    attention = LineAttention(4, 4, 8, num_heads=2, axis=axis).eval()
    features = torch.randn(1, 4, 5, 6)
    changed = features.clone()
    changed[:, :, 2, 3] += 1
    differs = (attention(changed) - attention(features)).abs().amax((0, 1)) > 1e-6
    expected = torch.zeros(5, 6, dtype=torch.bool)
    if axis == 'height':
        expected[:, 3] = True
    else:
        expected[2] = True
    assert torch.equal(differs, expected)


def test_stacking_of_frames():
    maps = torch.arange(2 * 3 * 4 * 5 * 6).view(6, 4, 5, 6)
    stacked = stack_frames(maps, 3)
    assert stacked.shape == (2, 4, 15, 6)
    assert torch.equal(stacked[1, :, 5:10], maps[4])
    assert torch.equal(unstack_frames(stacked, 3)[1, :, 1], maps[4])


@pytest.mark.parametrize('version', [1, 2])
def test_convnext_maps(version):
    tiny = PaddedConvNeXt(
        version=version, arch_override=((1, 1, 1, 1), (4, 8, 12, 16)), drop_path_rate=0.5
    )
    for height, width in ((65, 97), (64, 96), (33, 40)):
        maps = tiny(torch.randn(1, 3, height, width))
        expected = [(ceil(height / x), ceil(width / x)) for x in (4, 8, 16, 32)]
        assert [x.shape[-2:] for x in maps] == expected
    assert [stage[0].drop_path.drop_prob for stage in tiny.stages] == pytest.approx(
        [0, 0.5 / 3, 1 / 3, 0.5]
    )


def test_convnext_recomputation_gives_the_same_gradients():
    plain, frugal = (
        PaddedConvNeXt(
            arch_override=((1, 1), (4, 8)), layer_scale=1.0, activation_checkpointing=x
        ).train()
        for x in (False, True)
    )
    frugal.load_state_dict(plain.state_dict())
    frames = torch.randn(1, 3, 33, 33)
    for backbone in (plain, frugal):
        backbone(frames)[-1].square().sum().backward()
    for a, b in zip(plain.parameters(), frugal.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize('wrong', [dict(arch='huge'), dict(version=3)])
def test_unknown_convnext(wrong):
    with pytest.raises(ValueError, match=str(*wrong.values())):
        PaddedConvNeXt(**wrong)


def test_levels_must_agree():
    with pytest.raises(ValueError, match='layers_per_level'):
        build_tiny_head(layers_per_level=(1, 1))
    with pytest.raises(ValueError, match='num_blocks'):
        build_tiny_head(pixel_decoder=dict(type='KMaXPixelDecoder', num_blocks=(1, 1)))
    with pytest.raises(ValueError, match='num_temporal_levels'):
        build_tiny_head(within_clip=dict(num_temporal_levels=4, temporal_layer={}))


def test_losses_of_a_batch_of_clips():
    head = build_tiny_head(loss=dict(contrast_pixels=50, semantic_pixels=50)).train()
    masks = torch.zeros(2, 2, 9, 13, dtype=torch.bool)
    masks[0, :, :4], masks[1, :, 6:] = True, True
    targets = [ClipTargets(torch.tensor([1, 4]), masks), ClipTargets(torch.tensor([0, 2]), masks)]
    losses = head.loss(random_maps(4), 2, targets)
    names = ('loss_cls', 'loss_mask', 'loss_dice', 'loss_contrast')
    expected = {f'd{layer}.{name}' for layer in range(3) for name in names} | set(names)
    assert losses.keys() == expected | {'loss_semantic'}
    sum(losses.values()).backward()
    assert all(torch.isfinite(x.grad).all() for x in head.parameters() if x.grad is not None)


def test_video_losses_and_gradients_are_the_mean_over_videos():
    head = build_tiny_head(cross_clip=dict(num_layers=2, num_heads=2)).double()
    refined = torch.randn(2, 3, NUM_QUERIES, 32, dtype=torch.double)
    features = [torch.randn(2, 2, 16, 5, 6, dtype=torch.double) for _ in range(3)]
    masks = torch.zeros(2, 6, 5, 6, dtype=torch.bool)
    masks[0, :, :2], masks[1, :, 3:] = True, True
    targets = [ClipTargets(torch.tensor([1, 4]), masks), ClipTargets(torch.tensor([0, 2]), masks)]

    def losses_of(videos):
        queries = refined[videos]
        pooled = head.cross_clip.pool_clips(head.video_class_features(queries))
        embeddings = head.embed_video_masks(queries).unbind(1)
        masks = map(head.predict_video_masks, embeddings, [x[videos] for x in features])
        losses = head.video_loss(
            [head.predict_video_classes(pooled)], [torch.cat(list(masks), dim=2)], targets[videos]
        )
        total = sum(losses.values())
        return losses, torch.autograd.grad(total, head.video_predictor.mask_norm.parameters())

    both, first, second = (losses_of(x) for x in (slice(0, 2), slice(0, 1), slice(1, 2)))
    for name, loss in both[0].items():
        torch.testing.assert_close(loss, (first[0][name] + second[0][name]) / 2)
    for gradient, one, other in zip(both[1], first[1], second[1], strict=True):
        torch.testing.assert_close(gradient, (one + other) / 2)


def test_video_masks_are_normalized_over_all_clips_in_training():
    head = build_tiny_head(cross_clip=dict(num_layers=1, num_heads=2)).train()
    norm = head.video_predictor.mask_norm
    embeddings, features = torch.randn(1, NUM_QUERIES, 16), torch.randn(1, 2, 16, 5, 6)
    clips = [head.predict_video_masks(x * embeddings, features) for x in (1, 5)]
    products = torch.cat(clips, dim=2)
    targets = [ClipTargets(torch.tensor([1]), torch.ones(1, 4, 5, 6, dtype=torch.bool))]
    norm.reset_running_stats()
    head.video_loss([torch.randn(1, NUM_QUERIES, NUM_CLASSES + 1)], [products], targets)
    torch.testing.assert_close(norm.running_mean, 0.01 * products.mean().view(1))
    head.eval()
    expected = head.video_predictor.normalize_masks(clips[0])
    torch.testing.assert_close(head.predict_video_masks(embeddings, features), expected)


@pytest.mark.parametrize(
    'cross_clip',
    [dict(num_heads=2), dict(type='SelfAttention', num_heads=2), dict(type='VITA', num_heads=2)],
    ids=['trajectory', 'self-attention', 'vita'],
)
def test_parameters_without_a_video_loss(cross_clip):
    head = build_tiny_head(cross_clip=dict(num_layers=1, **cross_clip), semantic_head=None)
    reached = head.unreached_parameters()
    for name in reached:
        head.get_submodule(name).requires_grad_(False)
    assert head.unreached_parameters() == []
    masks = torch.zeros(1, 4, 9, 13, dtype=torch.bool)
    masks[..., :4, :] = True
    clips = [head.encode_clips(random_maps(2), 2) for _ in range(2)]
    targets = [ClipTargets(torch.tensor([1]), masks)]
    sum(CrossClipRefiner(head).loss(clips, targets).values()).backward()
    without = [name for name, x in head.named_parameters() if x.requires_grad and x.grad is None]
    assert without == []


def test_video_predictor_starts_as_the_clip_predictor():
    near_online = build_tiny_head().state_dict()
    offline = build_tiny_head(cross_clip=dict(num_layers=1, num_heads=2)).state_dict()
    weights = dict(near_online)
    fill_video_predictors(weights, offline, prefix='')
    missing = offline.keys() - weights.keys()
    assert all(name.startswith('cross_clip.') for name in missing)
    assert torch.equal(
        weights['video_predictor.class_proj.conv.weight'], weights['class_proj.conv.weight']
    )
    assert torch.equal(
        weights['video_predictor.cls_embed.bias'], weights['predictor.cls_embed.bias']
    )


@torch.no_grad()
def test_predictions_of_clips():
    head = build_tiny_head()
    maps = random_maps(4)
    decoding = head(maps, 2)
    predictions = head.predict(maps, 2)
    assert len(predictions) == 2
    assert torch.equal(predictions[1].class_logits, decoding.class_logits[-1][1])
    assert torch.equal(predictions[1].mask_logits, decoding.mask_logits[-1][1])
    assert torch.equal(predictions[1].queries, decoding.queries[1])
    assert torch.equal(predictions[1].identity, decoding.mask_embeddings[1])
    assert not head.align_corners((33, 48))
    assert head.align_corners((32, 49))
