"""Whole Video-kMaX networks agree with the release's for at least 97 % of queries.

A rounding can move a pixel to another cluster, which moves that cluster's query.
"""

import pytest
import torch
from kmax_release import R50, build_head, fill
from mmdet.registry import MODELS
from torch import Tensor, nn

from axialvs.models.cross_clip_refiner import CrossClipRefiner
from axialvs.tracking.matching import align_clips

TOLERANCE = 1e-3
MIN_CLOSE = 0.97
HALF_STEP = 2.0**-10  # relative rounding of what is stored as float16

TRAJECTORY = dict(temporal_layer=dict(num_layers=2))


def assert_agrees(ours: Tensor, theirs: Tensor) -> None:
    """Compares queries (Q, ...)."""
    assert ours.shape == theirs.shape
    rounding = HALF_STEP if theirs.dtype == torch.float16 else 0.0
    theirs = theirs.float()
    difference = ((ours - theirs).abs() - rounding * theirs.abs()).flatten(1).amax(1)
    close = difference < TOLERANCE * theirs.abs().max()
    assert close.float().mean() >= MIN_CLOSE


def build_backbone(keys: str) -> nn.Module:
    backbone = fill(MODELS.build(R50), 'backbone.', keys)
    backbone.eval()
    return backbone


@pytest.fixture(scope='module')
def backbone():
    return build_backbone('video_kmax_r50')


@pytest.fixture(scope='module')
def head():
    return fill(build_head(within_clip=TRAJECTORY, cross_clip={}), 'panoptic_head.')


@torch.no_grad()
def test_clip(fixture_data, backbone, head):
    data = fixture_data('kmax_r50_clip')
    check_clip(head(backbone(data['frames'].float()), 2, all_layers=False), data)


@torch.no_grad()
def test_baseline_clip(fixture_data, backbone):
    frames = fixture_data('kmax_r50_clip')['frames'].float()
    head = fill(build_head(), 'panoptic_head.')
    check_clip(head(backbone(frames), 2), fixture_data('kmax_r50_clip_baseline'))


def check_clip(decoding, data: dict) -> None:
    assert_agrees(decoding.class_logits[-1][0], data['class_logits'][0])
    assert_agrees(decoding.mask_logits[-1][0], data['mask_logits'][0])
    assert_agrees(decoding.mask_embeddings[0], data['mask_embeddings'][0])
    assert_agrees(decoding.queries[0], data['queries'][0])


@pytest.mark.parametrize('stage', ['plain', 'deformable'])
@torch.no_grad()
def test_coco_image(fixture_data, stage):
    data = fixture_data('kmax_coco_r50_image')
    frame = torch.zeros(1, 3, *data['padded_size'].tolist())
    height, width = data['image'].shape[1:]
    frame[0, :, :height, :width] = data['image'] / 127.5 - 1
    feats = build_backbone('kmax_coco_r50')(frame)
    means = torch.stack([x.mean() for x in feats]).double()
    torch.testing.assert_close(means, data['feature_mean'], rtol=1e-5, atol=1e-5)
    within_clip = dict(temporal_layer=None) if stage == 'deformable' else None
    head = fill(build_head(80, 53, within_clip=within_clip), 'panoptic_head.', 'kmax_coco_r50')
    decoding = head(feats, num_frames=1)
    assert_agrees(decoding.class_logits[-1][0], data[f'class_logits_{stage}'][0])
    assert_agrees(decoding.mask_logits[-1][0, :, 0], data[f'mask_logits_{stage}'][0])
    assert_agrees(decoding.pixel_features[-1][0, :, 0], data[f'pixel_feature_{stage}'][0])


@torch.no_grad()
def test_offline_video(fixture_data, backbone, head):
    data = fixture_data('kmax_cc_r50_video')
    frames = data['frames'].float()
    num_frames = len(frames)
    clips = torch.cat((frames, frames[-1:]))
    feats = backbone(clips)
    for k, prediction in enumerate(head.predict(feats, 2)):
        assert_agrees(prediction.class_logits, data['clip_class_logits'][k])
        assert_agrees(prediction.identity, data['mask_embeddings'][k])
    features = head.encode_clips(feats, 2)
    order = align_clips(features.identity[None])[0]
    assert (order == data['order']).float().mean() >= MIN_CLOSE

    video = CrossClipRefiner(head).refine(features.identity, features.queries)
    assert_agrees(video.class_logits, data['class_logits'])
    masks = [video.mask_logits(k, x) for k, x in enumerate(features.mask_features)]
    assert_agrees(torch.cat(masks, dim=1)[:, :num_frames], data['mask_logits'])
