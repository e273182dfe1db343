"""Tests of segmenting video files with the offline model."""

import cv2
import numpy as np
import pytest
import torch

from axialvs.apis import segment_video
from tiny_offline import contained_near_online, tiny_offline
from whole_videos import tracks_at_once

LENGTH = 7  # two clips of 3 and a frame


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Write frames of noise, so that nothing agrees by chance."""
    folder = tmp_path_factory.mktemp('frames')
    rng = np.random.default_rng(0)
    for i in range(LENGTH):
        cv2.imwrite(str(folder / f'{i:03d}.png'), rng.integers(0, 255, (40, 64, 3), np.uint8))
    return folder


@pytest.fixture(scope='module')
def model():
    return tiny_offline()


def test_tracks_match_all_frames_at_once(model, folder):
    seen = []
    result = segment_video(model, folder, mode='offline', progress=seen.append)
    tracks = result.tracks()
    assert tracks == tracks_at_once(model, folder)
    assert (result.protocol, result.num_frames) == ('scored', LENGTH)
    assert {len(track.segmentations) for track in tracks} == {LENGTH}
    assert seen == [3, 3, 1]


def check_masks(result) -> tuple[list, dict]:
    """Compare the masks of clips with those of tracks; return both."""
    clips = list(result)
    tracks = {track.id: track for track in result.tracks()}
    assert [clip.frame_indices for clip in clips] == [[0, 1, 2], [3, 4, 5], [6]]
    for clip in clips:
        for row, track_id in enumerate(clip.ids.tolist()):
            codes = [tracks[track_id].segmentations[i] for i in clip.frame_indices]
            assert clip.masks[row].any(axis=(1, 2)).tolist() == [bool(code) for code in codes]
    return clips, tracks


def test_clips_have_the_class_and_score_of_the_track(model, folder):
    clips, tracks = check_masks(segment_video(model, folder, mode='offline', score_thr=0.0))
    assert any(len(clip.ids) for clip in clips)
    for clip in clips:
        for row, track_id in enumerate(clip.ids.tolist()):
            assert clip.labels[row] == tracks[track_id].label
            assert clip.scores[row] == tracks[track_id].score


def test_window_over_the_full_video_has_the_same_masks(model, folder):
    """In the scored protocol, a query may have several classes."""
    shown = dict(mode='offline', score_thr=0.0)
    live = segment_video(model, folder, protocol='live', **shown)
    assert [clip.frame_indices for clip in live] == [[0, 1, 2], [3, 4, 5], [6]]
    scored = segment_video(model, folder, **shown).tracks()
    expected = [(track.label, track.segmentations) for track in scored]
    found = [(track.label, track.segmentations) for track in live.tracks()]
    assert len(found) > 1
    assert all(track in expected for track in found)


def test_small_window_keeps_frames_and_identities(model, folder, monkeypatch):
    monkeypatch.setitem(model.test_cfg, 'window', dict(num_clips=2, overlap=1))
    check_masks(segment_video(model, folder, mode='offline', protocol='live', score_thr=0.0))


def test_stopped_window_keeps_processed_frames(model, folder):
    result = segment_video(model, folder, mode='offline', protocol='live', score_thr=0.0)
    for _ in result:
        break
    result.close()
    assert result.num_frames == LENGTH
    assert {len(track.segmentations) for track in result.tracks()} == {LENGTH}


def test_near_online_mode_matches_the_contained_model(model, folder):
    near_online = contained_near_online(model)
    for protocol in ('live', 'scored'):
        ours = segment_video(model, folder, protocol=protocol)
        theirs = segment_video(near_online, folder, protocol=protocol)
        for track, expected in zip(ours.tracks(), theirs.tracks(), strict=True):
            assert (track.id, track.label) == (expected.id, expected.label)
            assert track.score == pytest.approx(expected.score, abs=1e-4)


@pytest.mark.parametrize('protocol', ['live', 'scored'])
@pytest.mark.parametrize('mode', ['near-online', 'offline'])
@pytest.mark.parametrize('precision', [torch.float16, torch.bfloat16])
def test_half_precision(model, folder, monkeypatch, precision, mode, protocol):
    def scores():
        shown = dict(mode=mode, protocol=protocol, score_thr=0.0)
        return [track.score for track in segment_video(model, folder, **shown).tracks()]

    expected = scores()
    monkeypatch.setattr(model, 'precision', precision)
    found = scores()
    assert found != expected
    # Scores of random weights differ by about a rounding error, so queries may swap.
    assert sorted(found) == pytest.approx(sorted(expected), abs=0.05)


def test_all_frames_at_once_in_half_precision(model, monkeypatch):
    frames = torch.randn(LENGTH, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    expected = model.predict_video(frames)
    monkeypatch.setattr(model, 'precision', torch.float16)
    found = model.predict_video(frames)
    for ours, theirs in zip(found, expected, strict=True):
        assert not torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02 * float(theirs.abs().max()))


def test_offline_mode_needs_an_offline_model(model, folder):
    with pytest.raises(ValueError, match=r"'offline'.*'near-online'"):
        segment_video(contained_near_online(model), folder, mode='offline')
    assert torch.is_grad_enabled()
