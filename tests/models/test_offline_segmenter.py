"""Predictions of the offline segmenter for full videos, and clip by clip in the test loop."""

import pytest
import torch
from mmengine.runner import Runner
from torch import nn

from generated_videos import frame_folders, point_at, write_videos
from tiny_offline import (
    BLOCKS,
    contained_near_online,
    tiny_offline,
    tiny_offline_config,
)
from tiny_segmenter import QUERIES
from whole_videos import tracks_at_once

HEIGHT, WIDTH = 64, 64
CLIP_LENGTH = 3
LENGTHS = (1, 3, 5, 7)


def images(batch, num_frames, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, num_frames, 3, HEIGHT, WIDTH, generator=rng)


@torch.no_grad()
def test_clips_and_videos_of_a_batch_are_independent():
    model = tiny_offline().double()
    videos = images(2, 6).double()
    encoded = [model._encode(clips) for clips in videos.split(CLIP_LENGTH, dim=1)]
    queries = torch.stack([x.queries for x in encoded], dim=1)
    refined = model.refiner._blocks(queries, queries)[-1]
    classes = model.refiner._classify(refined)
    embeddings = model.panoptic_head.embed_video_masks(refined)
    for b, video in enumerate(videos):
        alone = model.predict_video(video)
        torch.testing.assert_close(classes[b], alone.class_logits)
        for k, clip in enumerate(encoded):
            masks = torch.einsum('qc,tchw->qthw', embeddings[b, k], clip.mask_features[b])
            frames = slice(k * CLIP_LENGTH, (k + 1) * CLIP_LENGTH)
            torch.testing.assert_close(masks, alone.mask_logits[:, frames])


def without_refinement(model):
    """Set identity blocks, equal clip weights, and the clip head's predictors."""
    head = model.panoptic_head
    head.cross_clip.layers = nn.ModuleList(nn.Identity() for _ in range(BLOCKS))
    nn.init.zeros_(head.cross_clip.clip_weight.weight)
    head.video_cls_embed.load_state_dict(head.cls_embed.state_dict())
    head.video_mask_embed.load_state_dict(head.mask_embed.state_dict())
    return model


@torch.no_grad()
def test_offline_without_refinement_matches_near_online():
    model = without_refinement(tiny_offline())
    frames = images(1, 4 * CLIP_LENGTH)[0]
    offline, near_online = (m.predict_video(frames) for m in (model, contained_near_online(model)))
    torch.testing.assert_close(offline.class_logits, near_online.class_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(offline.mask_logits, near_online.mask_logits, rtol=0, atol=1e-4)


@torch.no_grad()
def test_refinement_changes_every_clip():
    model = tiny_offline()
    frames = images(1, 2 * CLIP_LENGTH)[0]
    changed = frames.clone()
    changed[-1] = images(1, 1, seed=1)[0]
    before, after = model.predict_video(frames), model.predict_video(changed)
    difference = (before.mask_logits - after.mask_logits)[:, 0].abs().max()
    assert difference > 1e-3  # a later clip affects the first frame


@torch.no_grad()
@pytest.mark.parametrize('num_frames', [1, 2, 3, 4])
def test_short_videos(num_frames):
    """The last frame is repeated to fill a clip; repeated frames are not in the result."""
    model = tiny_offline()
    frames = images(1, num_frames)[0]
    video = model.predict_video(frames)
    assert video.mask_logits.shape == (QUERIES, num_frames, HEIGHT // 4, WIDTH // 4)
    completed = torch.cat([frames, frames[-1:].expand(-num_frames % CLIP_LENGTH, -1, -1, -1)])
    whole = model.predict_video(completed)
    assert torch.equal(video.class_logits, whole.class_logits)
    assert torch.equal(video.mask_logits, whole.mask_logits[:, :num_frames])


@torch.no_grad()
def test_near_online_mode_matches_the_contained_model():
    model = tiny_offline()
    clips = images(2, CLIP_LENGTH)
    near_online = contained_near_online(model)
    expected = near_online.tracker().encode(clips)
    for ours, theirs in zip(model.tracker('near-online').encode(clips), expected, strict=True):
        for name in ('class_logits', 'mask_logits', 'queries'):
            torch.testing.assert_close(
                getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-4
            )


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('videos') / 'valid', LENGTHS)


@torch.no_grad()
@pytest.mark.parametrize('settings', [{}, dict(feature_memory=0)], ids=['memory', 'file'])
def test_test_loop_matches_all_frames_at_once(split, settings):
    """Tracks of the loop equal those of all frames at once bit by bit."""
    model = tiny_offline(test_cfg=settings)
    config = tiny_offline_config()
    point_at(config, test=split)
    finished = []
    for batch in Runner.build_dataloader(config.test_dataloader, seed=0):
        finished += [x for x in model.test_step(batch) if 'pred_tracks' in x]
    assert [x.metainfo['video_length'] for x in finished] == list(LENGTHS)
    for sample, folder in zip(finished, frame_folders(split), strict=True):
        tracks = tracks_at_once(model, folder)
        assert sample.pred_tracks.labels.tolist() == [x.label for x in tracks]
        assert sample.pred_tracks.scores.tolist() == [x.score for x in tracks]
        assert sample.pred_tracks.segmentations == [x.segmentations for x in tracks]
        assert {len(x.segmentations) for x in tracks} == {len(list(folder.iterdir()))}


def test_settings_of_the_collector():
    model = tiny_offline(test_cfg=dict(max_tracks=3, max_masks_per_frame=2))
    finisher = model.tracker('offline').finisher
    assert (finisher.max_tracks, finisher.max_masks_per_frame) == (3, 2)
