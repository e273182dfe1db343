"""Tests of sampling the frames of training clips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axialvs.clips import sample_frames, start_frames
from axialvs.datasets.seeding import random_state

VISIBLE = st.lists(st.booleans(), min_size=1, max_size=12)
LENGTHS = st.integers(1, 8)


@given(VISIBLE, LENGTHS)
def test_start_frames_have_clips_with_objects(visible, clip_length):
    expected = [
        start
        for start in range(max(1, len(visible) - clip_length + 1))
        if any(visible[start : start + clip_length])
    ]
    assert start_frames(np.array(visible), clip_length).tolist() == expected


def test_key_frames_of_a_range_have_objects():
    visible = np.array([0, 1, 0, 0, 1], dtype=bool)
    assert start_frames(visible, 2, frame_range=3).tolist() == [1, 4]


@given(st.integers(1, 30), LENGTHS, st.integers(0, 10), st.data())
def test_clips_have_t_frames_in_order(num_frames, clip_length, frame_range, data):
    key = data.draw(st.integers(0, max(0, num_frames - clip_length)))
    frames = sample_frames(num_frames, key, clip_length, frame_range)
    assert len(frames) == clip_length
    assert list(frames) == sorted(frames)
    assert 0 <= min(frames) <= max(frames) < num_frames
    if num_frames < clip_length:
        filled = [num_frames - 1] * (clip_length - num_frames)
        assert list(frames) == [*range(num_frames), *filled]
        return
    assert len(set(frames)) == clip_length
    assert key in frames
    if frame_range == 0:
        assert list(frames) == list(range(key, key + clip_length))
    elif min(key, frame_range) + min(num_frames - 1 - key, frame_range) >= clip_length - 1:
        assert max(abs(frame - key) for frame in frames) <= frame_range


def test_all_frames_of_a_range_are_sampled():
    drawn = set()
    for position in range(200):
        with random_state(0, position):
            drawn.update(sample_frames(100, 50, 3, frame_range=2))
    assert drawn == {48, 49, 50, 51, 52}


@pytest.mark.parametrize('key', [0, 9])
def test_clips_at_the_ends_use_the_nearest_frames(key):
    frames = sample_frames(10, key, 4, frame_range=2)
    assert sorted(abs(frame - key) for frame in frames) == [0, 1, 2, 3]
