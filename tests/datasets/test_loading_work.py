"""Loading time of a clip grows linearly with its frames."""

import sys
from collections import Counter

import pytest

from axialvs.data_tools.from_config import training_data
from axialvs.datasets.seeding import SampleIndex
from generated_videos import write_videos

CONFIG = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021.py'
LENGTHS = (4, 8, 16)
NUM_CLIPS = 5


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('long') / 'train', [2 * max(LENGTHS)])


def calls_of_loading(split, clip_length: int) -> Counter:
    """Count calls of Python and C functions by name while some clips are loaded."""
    part = 'train_dataloader.dataset'
    options = {
        f'{part}.data_root': f'{split}/',
        f'{part}.ann_file': 'instances.json',
        f'{part}.data_prefix.img_path': 'JPEGImages/',
        f'{part}.classes': None,
        f'{part}.clip_length': clip_length,
    }
    dataset, _ = training_data(CONFIG, options)
    dataset[SampleIndex(0, 0, 0)]  # warm up imports and caches
    calls: Counter = Counter()

    def count(frame, event, argument) -> None:
        if event == 'call':
            calls[frame.f_code.co_qualname] += 1
        elif event == 'c_call':
            calls[argument.__name__] += 1

    sys.setprofile(count)
    try:
        clips = [dataset[SampleIndex(position, 0, 0)] for position in range(NUM_CLIPS)]
    finally:
        sys.setprofile(None)
    assert all(len(clip['inputs']) == clip_length for clip in clips)
    return calls


def test_calls_and_decodings_are_linear_in_the_frames(split):
    short, middle, long = (calls_of_loading(split, length) for length in LENGTHS)
    # Each frame is decoded once.
    decoded = [calls['imdecode'] for calls in (short, middle, long)]
    assert decoded == [NUM_CLIPS * length for length in LENGTHS]
    # Twice the added frames, twice the added calls; copying all frames for each gives four times.
    added = middle.total() - short.total()
    assert 0 < long.total() - middle.total() < 2.2 * added
    # No single function may be called for every pair of frames, hidden in the sum.
    pairs = {
        name: counts
        for name in long
        if (counts := (short[name], middle[name], long[name]))[2] > 50 * NUM_CLIPS
        and counts[2] - counts[1] > 2.5 * (counts[1] - counts[0])
    }
    assert not pairs
