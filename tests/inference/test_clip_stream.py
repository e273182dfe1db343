"""Frames are grouped into the clips of `split_video` while they are read."""

from itertools import count, islice

import numpy as np
import pytest

from axialvs.clips import split_video
from axialvs.inference.pipeline import Frame, stream_clips


def frames(number):
    image = np.zeros((1, 1, 3), np.uint8)
    return (Frame(i, i / 25, image) for i in number)


def indices(clips):
    return [[frame.index for frame in clip] for clip in clips]


@pytest.mark.parametrize('mode', ['repeat_last', 'shorten'])
@pytest.mark.parametrize('length', range(1, 15))
def test_clips_match_split_video(length, mode):
    expected = [
        list(range(clip.start, clip.start + clip.num_frames))
        for clip in split_video(length, 4, mode)
    ]
    assert indices(stream_clips(frames(range(length)), 4, mode, length)) == expected


@pytest.mark.parametrize('mode', ['repeat_last', 'shorten'])
def test_unknown_length(mode):
    assert indices(stream_clips(frames(range(5)), 4, mode)) == [[0, 1, 2, 3], [4]]


@pytest.mark.parametrize(
    ('claimed', 'clips'),
    [
        (9, [[0, 1, 2], [3, 4, 5], [6]]),  # the source ended early
        (4, [[0, 1, 2], [3], [4, 5, 6]]),  # it continued
    ],
)
def test_source_with_a_wrong_length(claimed, clips):
    assert indices(stream_clips(frames(range(7)), 3, 'shorten', claimed)) == clips


def test_no_frames():
    assert indices(stream_clips(frames(()), 4)) == []


def test_frames_are_read_lazily():
    endless = frames(count())
    clips = stream_clips(endless, 4)
    assert indices(islice(clips, 2)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert next(endless).index == 8
