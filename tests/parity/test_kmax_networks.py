"""Full Video-kMaX networks converted from the release's files match its outputs.

At least 97 % of queries must agree: rounding can move a pixel to another cluster, which
changes that cluster's query.
"""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kmax_release import release_shapes
from release_weights import HALF_STEP, release_weight
from torch import Tensor

from axialvs.apis import init_segmenter
from axialvs.models.clip_segmenter import ClipSegmenter
from axialvs.postprocess.panoptic import merge_panoptic
from axialvs.tracking.matching import align_clips

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'model_converters' / 'convert_release.py'
WITHIN_CLIP, CROSS_CLIP = 'sem_seg_head.wc_module.', 'cross_clip_tracking_module.'
SEMANTIC = 'sem_seg_head.predictor._auxiliary_semantic_predictor.'

TOLERANCE = 1e-3
MIN_CLOSE = 0.97


def assert_agrees(ours: Tensor, theirs: Tensor) -> None:
    """Compare queries (Q, ...)."""
    assert ours.shape == theirs.shape
    rounding = HALF_STEP if theirs.dtype == torch.float16 else 0.0
    theirs = theirs.float()
    difference = ((ours - theirs).abs() - rounding * theirs.abs()).flatten(1).amax(1)
    close = difference < TOLERANCE * theirs.abs().max()
    assert close.float().mean() >= MIN_CLOSE


@pytest.fixture
def converted(tmp_path, monkeypatch) -> Callable[..., ClipSegmenter]:
    """Return a function that converts a file in detectron2's layout and loads it into a model.

    Its arguments are a keys file, prefixes of names to omit, and the config.
    """

    def build(keys: str, lacking: tuple[str, ...], config: str) -> ClipSegmenter:
        weights = {
            name: release_weight(name, tuple(shape)) if shape else torch.tensor(0)
            for name, shape in release_shapes(keys).items()
            if not name.startswith(lacking)
        }
        torch.save({'model': weights, 'iteration': 7}, tmp_path / 'release.pth')
        files = [str(tmp_path / name) for name in ('release.pth', 'converted.pth')]
        monkeypatch.setattr(sys, 'argv', [str(TOOL), '--quiet', *files])
        runpy.run_path(str(TOOL))['main']()
        return init_segmenter(config, files[1], 'cpu')

    return build


@pytest.mark.parametrize(
    ('fixture', 'lacking', 'config'),
    [
        (
            'kmax_r50_clip',
            (CROSS_CLIP,),
            'axialvs-wc-kmax_r50_16xb2-40k_vipseg',
        ),
        (
            'kmax_r50_clip_baseline',
            (CROSS_CLIP, WITHIN_CLIP),
            'video-kmax_r50_16xb2-40k_vipseg',
        ),
    ],
)
def test_clip(fixture_data, converted, fixture, lacking, config):
    frames = fixture_data('kmax_r50_clip')['frames'].float()
    data = fixture_data(fixture)
    prediction = converted('video_kmax_r50', lacking, config).predict_clip(frames)
    for name in ('class_logits', 'mask_logits', 'mask_embeddings', 'queries'):
        assert_agrees(getattr(prediction, name), data[name][0])


@pytest.mark.parametrize('stage', ['plain', 'deformable'])
def test_coco_image(fixture_data, converted, stage):
    data = fixture_data('kmax_coco_r50_image')
    padded, original = (tuple(data[x].tolist()) for x in ('padded_size', 'raw_size'))
    lacking, suffix = ((WITHIN_CLIP,), '') if stage == 'plain' else ((), '-deformable')
    model = converted('kmax_coco_r50', lacking, f'kmax_r50_32xb2-150k{suffix}_coco')
    frame = torch.zeros(1, 3, *padded)
    height, width = data['image'].shape[1:]
    frame[0, :, :height, :width] = data['image'] / 127.5 - 1
    with torch.no_grad():
        means = torch.stack([x.mean() for x in model.backbone(frame)]).double()
    torch.testing.assert_close(means, data['feature_mean'], rtol=1e-5, atol=1e-5)
    prediction = model.predict_clip(frame)
    assert_agrees(prediction.class_logits, data[f'class_logits_{stage}'][0])
    assert_agrees(prediction.mask_logits[:, 0], data[f'mask_logits_{stage}'][0])

    merged = merge_panoptic(
        prediction.class_logits,
        lambda _: iter([prediction.mask_logits]),
        model.image_shapes(padded, (height, width), original),
        model.finisher.thing_labels,
        model.finisher.thresholds,
    )
    found = [[x.id, x.label, int(x.is_thing)] for x in merged.segments]
    assert found == data[f'segments_{stage}'].tolist()
    (ids,) = merged.frames()
    assert (ids != data[f'panoptic_{stage}'].numpy()).mean() <= 1e-3


def test_offline_video(fixture_data, converted):
    data = fixture_data('kmax_cc_r50_video')
    model = converted('video_kmax_r50', (SEMANTIC,), 'axialvs-cc-kmax_r50_8xb2-15k_vipseg')
    frames = data['frames'].float()
    clips = torch.cat((frames, frames[-1:])).unflatten(0, (3, 2))
    features = model.tracker().encode(clips)
    identity = torch.stack([clip.identity for clip in features])
    for ours, theirs in zip(identity, data['mask_embeddings'], strict=True):
        assert_agrees(ours, theirs)
    order = align_clips(identity[None])[0]
    assert (order == data['order']).float().mean() >= MIN_CLOSE

    video = model.predict_video(frames)
    assert_agrees(video.class_logits, data['class_logits'])
    assert_agrees(video.mask_logits, data['mask_logits'])
