"""Tests of splitting a video into clips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axialvs.clips import Clip, split_video

FRAMES = st.integers(1, 300)
LENGTHS = st.integers(1, 40)


@pytest.mark.parametrize(
    ('num_frames', 'clip_length', 'lengths'),
    [
        (13, 5, [5, 4, 4]),
        (11, 5, [5, 5, 1]),
        (36, 5, [5, 5, 5, 5, 4, 4, 4, 4]),
        (20, 6, [6, 6, 6, 2]),
        (3, 5, [3]),
        (10, 5, [5, 5]),
    ],
)
def test_shorten_matches_the_release(num_frames, clip_length, lengths):
    clips = split_video(num_frames, clip_length, 'shorten')
    assert [clip.length for clip in clips] == lengths


def test_repeat_last_fills_the_last_clip():
    clips = split_video(7, 3)
    assert clips == [Clip(0, 3), Clip(3, 3), Clip(6, 3, 2)]
    assert clips[-1].frame_indices() == [6, 6, 6]
    assert split_video(2, 4)[0].frame_indices() == [0, 1, 1, 1]


@given(FRAMES, LENGTHS, st.sampled_from(['repeat_last', 'shorten']))
def test_every_frame_is_in_exactly_one_clip(num_frames, clip_length, mode):
    clips = split_video(num_frames, clip_length, mode)
    own = [frame for clip in clips for frame in clip.frame_indices()[: clip.num_frames]]
    assert own == list(range(num_frames))
    assert len(clips) == -(-num_frames // clip_length)
    assert all(1 <= clip.length <= clip_length for clip in clips)
    assert all(clip.num_padded == 0 for clip in clips[:-1])
    if mode == 'repeat_last':
        assert {clip.length for clip in clips} == {clip_length}
        assert clips[-1].frame_indices()[-1] == num_frames - 1
    else:
        assert clips[-1].num_padded == 0


@pytest.mark.parametrize(('num_frames', 'clip_length'), [(0, 3), (3, 0)])
def test_invalid_numbers_raise(num_frames, clip_length):
    with pytest.raises(ValueError, match=f'num_frames={num_frames}, clip_length={clip_length}'):
        split_video(num_frames, clip_length)


def test_unknown_mode_raises():
    with pytest.raises(ValueError, match="unknown mode 'pad'"):
        split_video(7, 3, 'pad')
