"""Four accumulated batches of one clip train the tiny segmenter as one batch of four does."""

from itertools import pairwise

import pytest
import torch
from mmengine.runner import Runner

from generated_videos import write_videos
from repeatable_run import (
    largest_difference,
    losses_of,
    repeatable_config,
    weights_after,
    write_start,
)

ITERATIONS = 4


def test_four_batches_match_one_large_batch(tmp_path):
    """All clips show two objects; test_clip_losses.py covers unequal numbers."""
    split = write_videos(tmp_path / 'videos', [4, 7, 3, 5], num_objects=(2, 2))
    begin = torch.load(write_start(tmp_path), weights_only=True)['state_dict']
    accumulating = dict(type='AccumulatingTrainLoop', accumulate=4)
    for name, batch_size, loop in (('whole', 4, {}), ('parts', 1, accumulating)):
        config = repeatable_config(tmp_path, name, split, batch_size, ITERATIONS, **loop)
        Runner.from_cfg(config).train()
    losses, expected = (losses_of(tmp_path / run, ITERATIONS) for run in ('parts', 'whole'))
    assert losses == pytest.approx(expected, rel=1e-5)
    assert all(before != after for before, after in pairwise(expected))
    weights, expected = (weights_after(tmp_path / run, ITERATIONS) for run in ('parts', 'whole'))
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-5)
    assert largest_difference(weights, expected, begin) <= 1e-4
