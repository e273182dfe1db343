"""The fixed sets of benchmark.py that run on a CPU, in a small form."""

import pytest

from axialvs.profiling import finishing_suite, sampling_suite
from axialvs.structures import ImageShapes


def test_sampling_rows_name_the_form_that_runs():
    wide = sampling_suite.SamplingShape(1, ((1, 2), (2, 4)), 1, 32)
    rows = list(sampling_suite.sampling_suite([*sampling_suite.SMALL_SHAPES, wide], rounds=1))
    chosen = [(row['head_channels'], row['pass'], row['chosen']) for row in rows]
    assert chosen == [
        (4, 'forward', 'grid_sample'),
        (4, 'forward + backward', 'grid_sample'),
        (32, 'forward', 'embedding_bag'),
        (32, 'forward + backward', 'grid_sample'),
    ]
    assert all(row['grid_sample_ms'] > 0 < row['embedding_bag_mib'] for row in rows)


def test_only_the_exact_way_gives_the_literal_masks():
    shape = finishing_suite.FinishingShape(8, ImageShapes((64, 96), (60, 96), (120, 190)))
    (row,) = finishing_suite.finishing_suite([shape], rounds=1)
    assert row['exact_iou'] == pytest.approx(1, abs=1e-9)
    assert 0.8 < row['early_iou'] < 1
