"""The offline segmenter: training on several clips, what is frozen, and its predictions."""

import cv2
import pytest
import torch
from mmengine.runner import Runner
from torch import nn
from training_clips import moving_boxes

from axialvs.association.clip_alignment import align_clips
from axialvs.association.finishing import finish_tracks
from axialvs.association.offline_tracks import OfflineTracks
from axialvs.checkpoints import adapt_state_dict
from axialvs.inference.frame_preparation import FramePreparation
from fixed_points import fixed_points
from generated_videos import frame_folders, point_at, write_videos
from tiny_offline import (
    BLOCKS,
    END_TO_END,
    contained_near_online,
    tiny_offline,
    tiny_offline_config,
)
from tiny_segmenter import QUERIES

HEIGHT, WIDTH = 64, 64
CLIP_LENGTH = 3
LENGTHS = (1, 3, 5, 7)
TERMS = ('loss_cls', 'loss_mask', 'loss_dice')
RELEASE_FROZEN = (
    'backbone.*',
    'panoptic_head.pixel_decoder.*',
    'panoptic_head.transformer_decoder.*',
    'panoptic_head.*_embed.weight',
    'panoptic_head.query_feat.*',
)


def images(batch, num_frames, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, num_frames, 3, HEIGHT, WIDTH, generator=rng)


def boxes(*numbers, num_frames):
    return [moving_boxes(n, num_frames, HEIGHT, WIDTH) for n in numbers]


def total(losses):
    return sum(losses.values())


def losses_and_gradients(model, videos, objects):
    """At the same points for all masks; in double precision, but for the losses themselves."""
    model.double().train().zero_grad()
    with fixed_points():
        losses = model.loss(videos.double(), objects)
        total(losses).backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    return {name: value.detach() for name, value in losses.items()}, gradients


def assert_same_gradient(ours, theirs, name):
    """To 1e-5 of its scale; what is zero but for rounding may differ."""
    scale = max(theirs.abs().max().item(), 1e-4)
    assert (ours - theirs).abs().max().item() < 1e-5 * scale, name


@pytest.mark.parametrize('name', [None, END_TO_END], ids=['frozen', 'end to end'])
@pytest.mark.parametrize('num_clips', [1, 2])
def test_two_videos_are_twice_one(name, num_clips):
    model = tiny_offline(*[name] if name else [])
    num_frames = num_clips * CLIP_LENGTH
    videos, objects = images(2, num_frames), boxes(2, 2, num_frames=num_frames)
    together, gradients = losses_and_gradients(model, videos, objects)
    blocks = ('', *(f'd{i}.' for i in range(BLOCKS - 1)))
    assert together.keys() == {f'{block}{term}' for block in blocks for term in TERMS}
    alone = [losses_and_gradients(model, videos[i : i + 1], objects[i : i + 1]) for i in range(2)]
    for key, value in together.items():
        expected = sum(losses[key] for losses, _ in alone) / 2
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    for parameter, gradient in gradients.items():
        expected = sum(of_one[parameter] for _, of_one in alone) / 2
        assert_same_gradient(gradient, expected, parameter)


@torch.no_grad()
def test_clips_and_videos_of_a_batch_do_not_see_each_other():
    model = tiny_offline().double()
    videos = images(2, 6).double()
    encoded = [model._encode(clips) for clips in videos.split(CLIP_LENGTH, dim=1)]
    queries = torch.stack([x for x, _ in encoded], dim=1)
    head = model.panoptic_head
    refined = head.cross_clip(align_clips(queries))[-1]
    classes, embeddings = head.predict_classes(refined), head.embed_masks(refined)
    for b, video in enumerate(videos):
        alone = model.predict_video(video)
        torch.testing.assert_close(classes[b], alone.class_logits)
        for k, (_, features) in enumerate(encoded):
            masks = torch.einsum('qc,tchw->qthw', embeddings[b, k], features[b])
            frames = slice(k * CLIP_LENGTH, (k + 1) * CLIP_LENGTH)
            torch.testing.assert_close(masks, alone.mask_logits[:, frames])


def without_refinement(model):
    """Blocks that change nothing, clips that weigh the same, and the clip head's predictors."""
    head = model.panoptic_head
    head.cross_clip.layers = nn.ModuleList(nn.Identity() for _ in range(BLOCKS))
    nn.init.zeros_(head.cross_clip.clip_weight.weight)
    head.video_cls_embed.load_state_dict(head.cls_embed.state_dict())
    head.video_mask_embed.load_state_dict(head.mask_embed.state_dict())
    return model


@torch.no_grad()
def test_without_refinement_offline_is_near_online():
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
    assert difference > 1e-3  # a later clip reaches the first frame


@torch.no_grad()
@pytest.mark.parametrize('num_frames', [1, 2, 3, 4])
def test_short_videos(num_frames):
    """The last frame is repeated up to a clip; what repeats is no part of the result."""
    model = tiny_offline()
    frames = images(1, num_frames)[0]
    video = model.predict_video(frames)
    assert video.mask_logits.shape == (QUERIES, num_frames, HEIGHT // 4, WIDTH // 4)
    completed = torch.cat([frames, frames[-1:].expand(-num_frames % CLIP_LENGTH, -1, -1, -1)])
    whole = model.predict_video(completed)
    assert torch.equal(video.class_logits, whole.class_logits)
    assert torch.equal(video.mask_logits, whole.mask_logits[:, :num_frames])


@torch.no_grad()
def test_near_online_mode_is_the_model_it_started_from():
    model = tiny_offline()
    clips = images(2, CLIP_LENGTH)
    near_online = contained_near_online(model)
    expected = near_online.segment_clips(clips, 'near-online')
    for ours, theirs in zip(model.segment_clips(clips, 'near-online'), expected, strict=True):
        for name in ours._fields:
            torch.testing.assert_close(
                getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-4
            )


def step(model, num_frames=6):
    """One step of an optimiser that would also shrink what has no gradient."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    total(model.loss(images(1, num_frames), boxes(2, num_frames=num_frames))).backward()
    optimiser.step()
    return model.eval()


@torch.no_grad()
def encode(model):
    return model._encode(images(1, CLIP_LENGTH, seed=3))


def test_what_is_frozen_does_not_drift():
    model = tiny_offline()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    features = encode(model)
    with torch.enable_grad():
        step(model)
    moved = {name for name, x in model.state_dict().items() if not torch.equal(x, before[name])}
    trained = ('panoptic_head.cross_clip.', 'panoptic_head.video_')
    expected = {name for name in before if name.startswith(trained)}
    # A softmax over clips does not see what is added to all of them.
    assert expected - moved <= {'panoptic_head.cross_clip.clip_weight.bias'}
    assert not moved - expected
    assert all(torch.equal(a, b) for a, b in zip(encode(model), features, strict=True))


def test_the_releases_clip_stage_drifts():
    """Its mask layer is trained and tells the frozen clip stage's queries where to look."""
    model = tiny_offline(frozen=RELEASE_FROZEN, panoptic_head=dict(own_predictors=False))
    assert not any('video_' in name for name in model.state_dict())
    queries, features = encode(model)
    step(model)
    queries_after, features_after = encode(model)
    assert torch.equal(features, features_after)
    assert not torch.equal(queries, queries_after)


def test_frozen_parts_rest_in_training():
    model = tiny_offline().train()
    head = model.panoptic_head
    for part in (model.backbone, head.pixel_decoder, head.transformer_decoder, head.query_feat):
        assert not any(module.training for module in part.modules())
    assert head.cross_clip.training
    assert head.video_mask_embed.training
    assert not any(x.requires_grad for x in model._encode(images(1, CLIP_LENGTH)))


def test_a_part_that_is_trained_has_a_graph():
    """With the backbone alone at rest, the clip stage learns."""
    model = tiny_offline(frozen=['backbone.*'], panoptic_head=dict(own_predictors=False)).train()
    assert not model.backbone.training
    assert model.panoptic_head.pixel_decoder.training
    total(model.loss(images(1, 3), boxes(1, num_frames=3))).backward()
    assert model.panoptic_head.query_feat.weight.grad.abs().max() > 0
    assert all(x.grad is None for x in model.backbone.parameters())


def key_part(grad, name):
    """The part of a gradient that belongs to keys where one tensor serves more."""
    if 'in_proj' in name or '.qkv.' in name:  # queries, keys, values
        return grad.chunk(3)[1]
    return grad.chunk(2)[0] if 'proj_kv' in name else grad


def test_every_parameter_learns_end_to_end():
    """Zero are only what is added to all keys and what is added to all clips' weights: a softmax
    does not see it."""
    unseen = ('.k.bias', 'proj_kv.bias', 'in_proj_bias', '.qkv.bias', 'clip_weight.bias')
    model = tiny_offline(END_TO_END)
    _, gradients = losses_and_gradients(model, images(1, 6), boxes(3, num_frames=6))
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, gradient in gradients.items():
        assert torch.isfinite(gradient).all(), name
        unseen_part = key_part(gradient, name)
        if name.endswith(unseen):
            assert unseen_part.abs().max() < 1e-6, name
        if not name.endswith(unseen) or unseen_part is not gradient:
            assert gradient.abs().max() > 1e-6, name


def test_recomputed_activations_give_the_same_gradients():
    videos, objects = images(2, 6), boxes(2, 1, num_frames=6)
    (kept, expected), (recomputed, gradients) = (
        losses_and_gradients(
            tiny_offline(END_TO_END, activation_checkpointing=recompute), videos, objects
        )
        for recompute in (False, True)
    )
    for key, loss in kept.items():
        torch.testing.assert_close(recomputed[key], loss, rtol=1e-6, atol=1e-6)
    for name, gradient in gradients.items():
        assert_same_gradient(gradient, expected[name], name)


def test_frames_that_are_no_whole_clips():
    with pytest.raises(ValueError, match='5 frames, which are no whole number of clips of 3'):
        tiny_offline().train().loss(images(1, 5), boxes(1, num_frames=5))


def test_patterns_that_fit_nothing():
    with pytest.raises(ValueError, match=r"frozen: 'backbon\.\*' fits no parameter"):
        tiny_offline(frozen=['backbon.*'])


def test_predictors_that_no_loss_would_reach():
    with pytest.raises(ValueError, match='own_predictors=False'):
        tiny_offline(frozen=['backbone.*'])


def test_starting_from_near_online_weights():
    """Only the module itself is missing; the refined queries' predictors start as the clips'."""
    model = tiny_offline()
    weights = contained_near_online(model).state_dict()
    fitting, report = adapt_state_dict(weights, model.state_dict())
    assert all(name.startswith('panoptic_head.cross_clip.') for name in report.missing)
    assert not report.unexpected
    for start in (fitting, weights):
        other = tiny_offline()
        for parameter in other.parameters():
            nn.init.zeros_(parameter)
        other.load_state_dict(start, strict=False)
        head = other.panoptic_head
        for video, clip in (
            (head.video_cls_embed, head.cls_embed),
            (head.video_mask_embed, head.mask_embed),
        ):
            assert all(
                torch.equal(a, b)
                for a, b in zip(video.parameters(), clip.parameters(), strict=True)
            )
            assert all(x.abs().max() > 0 for x in video.parameters())


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('videos') / 'valid', LENGTHS)


@torch.no_grad()
@pytest.mark.parametrize('settings', [{}, dict(feature_memory=0)], ids=['memory', 'file'])
def test_clips_of_the_test_loop_make_the_video(split, settings):
    """Tracks of the loop equal those of all frames at once, to the last digit."""
    model = tiny_offline(test_cfg=settings)
    config = tiny_offline_config()
    point_at(config, test=split)
    finished = []
    for batch in Runner.build_dataloader(config.test_dataloader, seed=0):
        finished += model.test_step(batch)
    assert [x.metainfo['video_length'] for x in finished] == list(LENGTHS)
    prepare = FramePreparation.from_config(config, model.data_preprocessor)
    for sample, folder in zip(finished, frame_folders(split), strict=True):
        files = sorted(folder.iterdir())
        frames, geometry = prepare([cv2.imread(str(file))[..., ::-1] for file in files])
        video = model.predict_video(frames)
        tracks = finish_tracks(
            video.class_logits,
            lambda queries, video=video: iter([video.mask_logits[queries]]),
            geometry,
            model.test_cfg['max_tracks'],
        )
        assert sample.pred_tracks.labels.tolist() == [x.label for x in tracks]
        assert sample.pred_tracks.scores.tolist() == [x.score for x in tracks]
        assert sample.pred_tracks.segmentations == [x.segmentations for x in tracks]
        assert {len(x.segmentations) for x in tracks} == {len(files)}


def test_settings_of_the_collector():
    model = tiny_offline(test_cfg=dict(max_tracks=3, max_masks_per_frame=2))
    video = model.new_video('offline')
    assert isinstance(video, OfflineTracks)
    assert (video.max_tracks, video.max_masks_per_frame) == (3, 2)
