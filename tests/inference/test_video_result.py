"""Segmenting a folder of frames: each frame once, persistent ids, both protocols."""

import gc
import threading

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from axialvs.apis import init_segmenter, segment_video
from axialvs.inference.readers import VideoReadError
from axialvs.postprocess import instances
from axialvs.postprocess.instances import InstanceFinisher
from axialvs.postprocess.masks import resize_mask_logits
from generated_videos import frame_folders, write_videos
from tiny_segmenter import PANOPTIC, WITHIN_CLIP, randomize, tiny_config
from whole_videos import images_of, prepared_video, tracks_at_once

NUM_FRAMES, CLIP_LENGTH = 8, 3
SIZE = (40, 64)
THINGS = [0, 1, 2, 3, 8]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Write a folder of eight frames."""
    split = write_videos(tmp_path_factory.mktemp('videos') / 'valid', [NUM_FRAMES], seed=1)
    return frame_folders(split)[0]


@pytest.fixture(scope='module', params=['instances', 'panoptic', 'panoptic by memory'])
def model(request):
    """Return a model with random weights whose scores spread around 0.3."""
    config = tiny_config(WITHIN_CLIP if request.param == 'instances' else PANOPTIC)
    config.test_dataloader.dataset.clip_length = CLIP_LENGTH
    if request.param != 'instances':
        config.model.clip_length = CLIP_LENGTH
        config.model.panoptic_head.thing_labels = THINGS
        linking = 'memory' if request.param == 'panoptic by memory' else 'queries'
        config.model.test_cfg.update(panoptic=dict(score=0.1, overlap=0.1), linking=linking)
    model = init_segmenter(config, device='cpu')
    randomize(model)
    with torch.no_grad():
        model.panoptic_head.cls_embed.weight.mul_(2)
    return model


def decoded(code):
    return np.zeros(SIZE, bool) if code is None else coco_mask.decode(code).astype(bool)


@pytest.mark.parametrize('model', ['panoptic', 'panoptic by memory'], indirect=True)
@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_panoptic_segments_do_not_overlap(model, folder, protocol):
    clips = list(segment_video(model, folder, protocol=protocol, score_thr=0.0))
    assert max(clip.masks.sum(0).max() for clip in clips) == 1
    result = segment_video(model, folder, protocol=protocol, score_thr=0.0)
    assert {track.is_thing for track in result.tracks()} == {True, False}
    assert all(track.is_thing == (track.label in THINGS) for track in result.tracks())
    stuff = [track.label for track in result.tracks() if not track.is_thing]
    assert len(stuff) == len(set(stuff))


def check_frames(clips, folder, num_frames=NUM_FRAMES):
    """Assert that every frame occurs once, in order, with its image and timestamp."""
    assert [i for clip in clips for i in clip.frame_indices] == list(range(num_frames))
    times = [t for clip in clips for t in clip.timestamps]
    assert times == pytest.approx([i / 25 for i in range(num_frames)])
    images = [image for clip in clips for image in clip.images]
    for ours, expected in zip(images, images_of(folder), strict=False):
        np.testing.assert_array_equal(ours, expected)
    for clip in clips:
        count = len(clip.ids)
        assert clip.masks.shape == (count, len(clip.frame_indices), *SIZE)
        assert clip.masks.dtype == bool
        assert len(clip.labels) == len(clip.scores) == len(set(clip.ids.tolist())) == count


def masks_by_id(clips):
    """Return masks (L, H, W) by id as returned in the clips."""
    masks = {}
    for clip in clips:
        for row, object_id in enumerate(clip.ids.tolist()):
            shown = masks.setdefault(object_id, np.zeros((NUM_FRAMES, *SIZE), bool))
            shown[clip.frame_indices] = clip.masks[row]
    return masks


@pytest.fixture(scope='module')
def threshold(model, folder):
    """Return a score that some queries reach in some clips."""
    clips = list(segment_video(model, folder, score_thr=0.0))
    return float(np.median(np.concatenate([clip.scores for clip in clips])))


def test_live_clips_and_tracks_agree(model, folder, threshold):
    counted = []
    result = segment_video(model, folder, score_thr=threshold, progress=counted.append)
    clips = list(result)
    check_frames(clips, folder)
    assert counted == [3, 3, 2]
    assert result.num_frames == NUM_FRAMES
    if isinstance(model.finisher, InstanceFinisher):  # whose scores are class probabilities
        assert all((clip.scores >= threshold).all() for clip in clips)
    assert {len(clip.ids) for clip in clips} - {0, model.test_cfg['max_tracks']}
    tracks = {track.id: track for track in result.tracks()}
    shown = masks_by_id(clips)
    assert tracks.keys() == shown.keys()
    for object_id, masks in shown.items():
        assert len(tracks[object_id].segmentations) == NUM_FRAMES
        for mask, code in zip(masks, tracks[object_id].segmentations, strict=True):
            np.testing.assert_array_equal(decoded(code), mask)


@pytest.mark.parametrize('model', ['instances'], indirect=True)
def test_live_masks_match_the_video_in_memory(model, folder):
    """Without a threshold every query is returned with its masks of each frame."""
    clips = list(segment_video(model, folder, score_thr=0.0))
    frames, shapes = prepared_video(model, folder)
    expected = resize_mask_logits(model.predict_video(frames).mask_logits, shapes) > 0
    for clip in clips:
        for t, index in enumerate(clip.frame_indices):
            ours = sorted(mask.tobytes() for mask in clip.masks[:, t])
            assert ours == sorted(mask.numpy().tobytes() for mask in expected[:, index])


def test_live_decisions_use_running_averages(model, folder):
    """The result of a clip does not depend on later frames."""
    clips = list(segment_video(model, folder, score_thr=0.0))
    shorter = list(segment_video(model, folder, score_thr=0.0, max_frames=2 * CLIP_LENGTH))
    for ours, expected in zip(shorter, clips, strict=False):
        np.testing.assert_array_equal(ours.ids, expected.ids)
        np.testing.assert_array_equal(ours.scores, expected.scores)
        np.testing.assert_array_equal(ours.masks, expected.masks)


@pytest.mark.parametrize('model', ['instances', 'panoptic'], indirect=True)
def test_scored_tracks_match_the_video_in_memory(model, folder):
    result = segment_video(model, folder, protocol='scored', score_thr=0.0)
    clips = list(result)
    check_frames(clips, folder)
    expected = tracks_at_once(model, folder)
    assert result.tracks() == expected
    shown = masks_by_id(clips)
    for track in expected:
        masks = np.stack([decoded(code) for code in track.segmentations])
        np.testing.assert_array_equal(shown[track.id], masks)


def test_score_threshold_applies_to_clips_and_tracks(model, folder):
    everything = segment_video(model, folder, protocol='scored').tracks()
    scores = sorted(track.score for track in everything)
    threshold = scores[len(scores) // 2]
    result = segment_video(model, folder, protocol='scored', score_thr=threshold)
    shown = {i for clip in result for i in clip.ids.tolist()}
    wanted = [x for x in everything if x.score >= threshold]
    assert shown == {x.id for x in wanted}
    assert result.tracks() == wanted
    assert len(wanted) < len(everything)


@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_frames_beyond_the_limit_are_not_read(model, folder, protocol):
    result = segment_video(
        model, folder, protocol=protocol, score_thr=0.0, max_frames=CLIP_LENGTH + 1
    )
    check_frames(list(result), folder, CLIP_LENGTH + 1)
    assert {len(track.segmentations) for track in result.tracks()} == {CLIP_LENGTH + 1}


@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_only_every_third_frame(model, folder, protocol):
    arguments = dict(protocol=protocol, score_thr=0.0)
    result = segment_video(model, folder, stride=3, max_frames=3, **arguments)
    clips = list(result)
    assert [i for clip in clips for i in clip.frame_indices] == [0, 3, 6]
    ours = segment_video(model, images_of(folder)[:7:3], **arguments).tracks()
    for track, expected in zip(result.tracks(), ours, strict=True):
        assert track.segmentations[::3] == expected.segmentations
        assert track.frame_scores[::3] == expected.frame_scores
        if track.frame_scores:  # none for panoptic videos in the scored protocol
            visible = [x is not None for x in track.segmentations]
            assert [x is not None for x in track.frame_scores] == visible
        assert set(track.segmentations[1::3] + track.segmentations[2::3]) == {None}


def test_frame_limit_beyond_the_end(model, folder):
    result = segment_video(model, folder, score_thr=0.0, max_frames=1000)
    check_frames(list(result), folder)


@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_only_requested_classes(model, folder, protocol, monkeypatch):
    monkeypatch.setattr(
        instances, 'LABEL_MARGIN', 0.0
    )  # a random model predicts similar classes everywhere
    arguments = dict(protocol=protocol, score_thr=0.0)
    everything = {
        (i, label)
        for clip in segment_video(model, folder, **arguments)
        for i, label in zip(clip.ids.tolist(), clip.labels.tolist(), strict=True)
    }
    label = sorted({label for _, label in everything})[0]
    assert {other for _, other in everything} != {label}
    result = segment_video(model, folder, classes=[model.class_names[label]], **arguments)
    shown = {
        (i, other)
        for clip in result
        for i, other in zip(clip.ids.tolist(), clip.labels.tolist(), strict=True)
    }
    assert shown == {pair for pair in everything if pair[1] == label}
    assert {track.label for track in result.tracks()} <= {label}


@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_tracks_without_iterating_over_clips(model, folder, protocol):
    arguments = dict(protocol=protocol, score_thr=0.0)
    watched = segment_video(model, folder, **arguments)
    assert len(list(watched)) == 3
    assert segment_video(model, folder, **arguments).tracks() == watched.tracks() != []


def test_clips_are_yielded_as_soon_as_segmented(model, folder):
    counted = []
    clips = iter(segment_video(model, folder, progress=counted.append))
    assert next(clips).frame_indices == [0, 1, 2]
    assert counted == [3]


def test_next_clip_is_segmented_in_the_background(model, folder, monkeypatch):
    segmented = threading.Semaphore(0)
    predict_clips = model._predict_clips

    def noted(*args):
        result = predict_clips(*args)
        segmented.release()
        return result

    monkeypatch.setattr(model, '_predict_clips', noted)
    result = segment_video(model, folder, protocol='live')
    next(iter(result))  # no further clip is requested
    assert segmented.acquire(timeout=60)
    assert segmented.acquire(timeout=60)  # the next one
    assert result.num_frames == model.clip_length
    result.close()


@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_shortened_clips(model, folder, protocol, monkeypatch):
    monkeypatch.setattr(model, 'split_mode', 'shorten')
    monkeypatch.setattr(model, 'clip_length', 5)
    clips = list(segment_video(model, folder, protocol=protocol, score_thr=0.0))
    assert [len(clip.frame_indices) for clip in clips] == [5, 3]
    check_frames(clips, folder)


def test_truncated_source(model, folder, tmp_path):
    """Results of earlier clips are kept."""
    files = sorted(folder.iterdir())
    for file in files[:5]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / files[5].name).write_bytes(b'no image')
    result = segment_video(model, tmp_path, score_thr=0.0)
    clips = iter(result)
    first = next(clips)
    with pytest.raises(VideoReadError, match=files[5].name):
        list(clips)
    assert first.frame_indices == [0, 1, 2]
    tracks = result.tracks()
    assert {len(track.segmentations) for track in tracks} == {3}
    assert {x.id for x in tracks} == set(first.ids.tolist())
    scored = segment_video(model, tmp_path, protocol='scored')
    with pytest.raises(VideoReadError, match=files[5].name):
        list(scored)
    tracks = scored.tracks()
    assert {len(track.segmentations) for track in tracks} == {3}
    assert any(any(track.segmentations) for track in tracks)


def test_stopped_run(model, folder):
    counted = []
    result = segment_video(model, folder, score_thr=0.0, progress=counted.append)
    first = next(iter(result))
    result.close()
    tracks = result.tracks()
    assert counted == [3]
    assert {x.id for x in tracks} == set(first.ids.tolist())
    assert {len(track.segmentations) for track in tracks} == {3}


def test_missing_or_empty_source(model, tmp_path):
    with pytest.raises(VideoReadError, match='missing'):
        segment_video(model, tmp_path / 'missing')
    with pytest.raises(VideoReadError, match='holds no images'):
        segment_video(model, tmp_path)


def test_deleted_result_stops_reading(model, folder):
    before = set(threading.enumerate())
    result = segment_video(model, folder, protocol='live')
    next(iter(result))
    assert set(threading.enumerate()) - before
    del result
    gc.collect()
    assert set(threading.enumerate()) <= before
