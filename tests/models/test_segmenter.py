"""The segmenter: videos in the test loop, full videos in memory, and weights of mmdet."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.runner import Runner

from axialvs.clips import split_video
from axialvs.tracking.matching import match_queries
from axialvs.utils.errors import AxialVSError
from generated_videos import frame_folders, point_at, write_videos
from tiny_segmenter import PANOPTIC, WITHIN_CLIP, tiny_config, tiny_segmenter
from whole_videos import prepared_video, tracks_at_once

LENGTHS = (1, 2, 3, 4, 5, 6, 7)
CLIP_LENGTH = 3


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    """Videos of 1 to 7 frames."""
    return write_videos(tmp_path_factory.mktemp('videos') / 'valid', LENGTHS)


@pytest.fixture(scope='module')
def config(split):
    config = tiny_config()
    point_at(config, test=split)
    return config


@pytest.fixture(scope='module', params=[WITHIN_CLIP, PANOPTIC], ids=['instances', 'panoptic'])
def model(request):
    model = tiny_segmenter(request.param, clip_length=CLIP_LENGTH)
    if request.param == PANOPTIC:  # random weights have low confidences
        model.test_cfg.panoptic = dict(score=0.1, overlap=0.1)
    return model


def loaded_clips(config, split_mode):
    config = config.copy()
    config.test_dataloader.dataset.update(clip_length=CLIP_LENGTH, split_mode=split_mode)
    return list(Runner.build_dataloader(config.test_dataloader, seed=0))


@pytest.mark.parametrize(
    ('split_mode', 'linking'),
    [
        ('repeat_last', 'queries'),
        ('shorten', 'queries'),
        ('repeat_last', dict(by='mask_iou', overlap=1)),
        ('shorten', dict(by='mask_embeddings', overlap=2, memory=dict(momentum=0.5))),
    ],
    ids=['repeat last', 'shorten', 'mask iou', 'memory'],
)
@torch.no_grad()
def test_test_loop_matches_all_frames_at_once(
    model, config, split, split_mode, linking, monkeypatch
):
    """Tracks of the loop equal those of all frames at once bit by bit."""
    monkeypatch.setattr(model, 'split_mode', split_mode)
    monkeypatch.setitem(model.test_cfg, 'linking', linking)
    finished = []
    for batch in loaded_clips(config, split_mode):
        outputs = model.test_step(batch)
        assert len(outputs) == 1
        finished += [x for x in outputs if 'pred_tracks' in x]
    assert [x.metainfo['video_length'] for x in finished] == list(LENGTHS)
    for sample, folder in zip(finished, frame_folders(split), strict=True):
        tracks = tracks_at_once(model, folder)
        assert sample.pred_tracks.labels.tolist() == [x.label for x in tracks]
        assert torch.equal(sample.pred_tracks.scores, torch.tensor([x.score for x in tracks]))
        assert sample.pred_tracks.segmentations == [x.segmentations for x in tracks]
        assert any(any(x.segmentations) for x in tracks)


@torch.no_grad()
def test_overlapping_clips_include_earlier_frames(monkeypatch):
    """The masks of a clip's new frames are those of a longer clip that starts earlier."""
    model = tiny_segmenter(clip_length=CLIP_LENGTH)
    frames = torch.randn(5, 3, 64, 64)
    monkeypatch.setitem(model.test_cfg, 'linking', dict(overlap=2))
    video = model.predict_video(frames)
    first, second = (model.predict_clip(frames[x]) for x in ([0, 1, 2], [1, 2, 3, 4, 4]))
    assert torch.equal(video.mask_logits[:, :3], first.mask_logits)
    second = second.reorder(match_queries(first.identity, second.identity))
    assert torch.equal(video.mask_logits[:, 3:], second.mask_logits[:, 2:4])
    torch.testing.assert_close(video.class_logits, (first.class_logits + second.class_logits) / 2)


@torch.no_grad()
def test_batches_of_clips(model, config):
    """Clips of equal shape have the same results as separately; other batches raise."""
    config = copy.deepcopy(config)
    dataset = config.test_dataloader.dataset
    dataset.update(clip_length=CLIP_LENGTH, split_mode='repeat_last')
    labels = {}
    for batch_size in (1, 3):
        config.test_dataloader.batch_size = batch_size
        batches = Runner.build_dataloader(config.test_dataloader, seed=0)
        samples = [x for batch in batches for x in model.test_step(batch)]
        labels[batch_size] = [x.pred_tracks.labels.tolist() for x in samples if 'pred_tracks' in x]
    assert len(labels[1]) == len(LENGTHS)
    assert labels[3] == labels[1]
    dataset.split_mode = 'shorten'
    for step in (model.test_step, model.val_step):
        with pytest.raises(AxialVSError, match=r'\(1, 3, .* and \(3, 3, .*batch_size=1'):
            step(next(iter(Runner.build_dataloader(config.test_dataloader, seed=0))))
    batch = next(iter(batches))
    batch['inputs'][1] = batch['inputs'][1][..., :32]
    with pytest.raises(AxialVSError, match='batch_size=1'):
        model.test_step(batch)


@torch.no_grad()
def test_autocast_applies_to_the_network_only(config):
    """Linking and finishing stay in float32: the tracks are those of `precision`."""
    model = tiny_segmenter(clip_length=CLIP_LENGTH)
    found: dict[str, list] = {}
    for name in ('loop', 'precision', 'float32'):
        model.precision = torch.bfloat16 if name == 'precision' else None
        samples = []
        for batch in loaded_clips(config, 'repeat_last'):
            with torch.autocast('cpu', torch.bfloat16, enabled=name == 'loop'):
                samples += model.test_step(batch)
        found[name] = [
            (x.pred_tracks.scores.tolist(), x.pred_tracks.segmentations)
            for x in samples
            if 'pred_tracks' in x
        ]
    assert len(found['loop']) == len(LENGTHS)
    assert found['loop'] == found['precision']
    assert found['loop'] != found['float32']


@pytest.mark.parametrize('num_frames', LENGTHS)
@pytest.mark.parametrize('split_mode', ['repeat_last', 'shorten'])
def test_any_video_length(model, num_frames, split_mode, monkeypatch):
    monkeypatch.setattr(model, 'split_mode', split_mode)
    rng = torch.Generator().manual_seed(num_frames)
    frames = torch.randn(num_frames, 3, 48, 64, generator=rng)
    video = model.predict_video(frames)
    assert video.mask_logits.shape == (model.panoptic_head.num_queries, num_frames, 12, 16)
    clips = split_video(num_frames, CLIP_LENGTH, split_mode)
    first = model.predict_clip(frames[clips[0].frame_indices()])
    assert torch.equal(video.mask_logits[:, :CLIP_LENGTH], first.mask_logits[:, :num_frames])
    if len(clips) == 1:
        assert torch.equal(video.class_logits, first.class_logits)


def test_clips_are_linked_by_their_queries(model):
    """A video that repeats its first clip has equal results twice; otherwise clips are matched."""
    rng = torch.Generator().manual_seed(1)
    clip = torch.randn(CLIP_LENGTH, 3, 48, 64, generator=rng)
    video = model.predict_video(torch.cat((clip, clip)))
    alone = model.predict_clip(clip)
    torch.testing.assert_close(video.class_logits, alone.class_logits)
    torch.testing.assert_close(video.mask_logits[:, CLIP_LENGTH:], alone.mask_logits)


@torch.no_grad()
def test_padding_is_removed_from_the_result(model, config, split):
    """Frames of 64x40 are padded to 64x64: masks have the original size, and a query that covers
    everything ends at the image border."""
    shapes = prepared_video(model, frame_folders(split)[0])[1]
    assert shapes.batch_input_shape != shapes.img_shape
    for batch in loaded_clips(config, 'repeat_last')[:3]:
        for sample in model.test_step(batch):
            codes = [code for x in sample.pred_tracks.segmentations for code in x if code]
            assert {tuple(code['size']) for code in codes} == {shapes.ori_shape}


@torch.no_grad()
def test_video_without_its_first_clip_raises(model, config):
    later = loaded_clips(config, 'repeat_last')[-1]
    model._video = None
    with pytest.raises(ValueError, match=r'clip at frame 6 of video 7 came without'):
        model.test_step(later)


def test_unknown_clip_length_raises(model, monkeypatch):
    monkeypatch.setattr(model, 'clip_length', None)
    with pytest.raises(AxialVSError, match='clip_length'):
        model.predict_video(torch.zeros(1, 3, 32, 32))


def test_unknown_mode(model):
    with pytest.raises(AxialVSError, match=r"'sideways'.*'near-online'"):
        model.tracker('sideways')


def test_number_of_class_names_must_match():
    config = tiny_config()
    with pytest.raises(AxialVSError, match='5 classes, but 2 are named: a, b'):
        MODELS.build({**config.model, 'class_names': ('a', 'b')})


def test_padding_is_to_the_largest_frames_of_a_batch(model):
    """The preprocessor pads clips of a batch to one size at the bottom right and normalizes
    in RGB."""
    clips = [torch.full((2, 3, h, w), 128, dtype=torch.uint8) for h, w in ((40, 64), (33, 70))]
    clips[0][:, 0] = 0  # blue, for frames come as BGR
    batch = model.data_preprocessor({'inputs': clips, 'data_samples': None})['inputs']
    assert batch.shape == (2, 2, 3, 64, 96)
    assert (batch[0, :, :, 40:] == 0).all()
    red, _, blue = batch[0, 0, :, 0, 0].tolist()
    assert red == pytest.approx((128 - 123.675) / 58.395, abs=1e-4)
    assert blue == pytest.approx((0 - 103.53) / 57.375, abs=1e-4)
