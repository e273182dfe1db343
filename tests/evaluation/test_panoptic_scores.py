"""VPQ and STQ: a fixture of the release, set arithmetic on random cases, and properties."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panoptic_cases import STUFF, THINGS, Side, expected_metrics, random_case, score

from axialvs.evaluation.vpq import SlidingSums

FIXTURE = Path(__file__).parents[1] / 'data' / 'parity' / 'vpq'
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**32 - 1)


def test_fixture(folder):
    described = json.loads(FIXTURE.with_suffix('.json').read_text())
    assert set(described['thing_classes']) == THINGS
    assert set(described['stuff_classes']) == STUFF
    sides: dict[str, list[Side]] = {'gt': [], 'pred': []}
    with np.load(FIXTURE.with_suffix('.npz')) as arrays:
        for side, videos in sides.items():
            for ids, video in zip(arrays[side].astype(int), described['videos'], strict=True):
                classes = {int(i): c for i, c in video[f'{side}_segment_class'].items()}
                crowds = frozenset(video['gt_crowd_segments'] if side == 'gt' else ())
                videos.append(Side(ids, classes, crowds))
    metrics = score(folder, sides['gt'], sides['pred']).summary()
    expected = {name.removesuffix('_all'): value for name, value in described['expected'].items()}
    assert len(expected) == 15
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=1e-9, rel=0)


@few
@given(seeds)
def test_equals_set_arithmetic(folder, seed):
    gt, predicted = random_case(seed)
    metrics = score(folder, gt, predicted).summary()
    assert metrics == pytest.approx(expected_metrics(gt, predicted), abs=1e-9, rel=0)


@pytest.mark.parametrize('seed', range(3))
def test_number_of_processes_does_not_change_scores(folder, seed):
    case = random_case(seed)
    assert score(folder, *case, workers=1).summary() == score(folder, *case, workers=3).summary()


def test_perfect_prediction_under_other_ids(folder):
    gt, _ = random_case(5)
    for video in gt:
        video.crowds = frozenset()
        video.ids = np.concatenate([video.ids] * 6)  # every window is reached
    predicted = []
    for video in gt:
        renamed = {i: i and 2**24 - 1 - i for i in video.classes}
        ids = np.vectorize(renamed.get)(video.ids)
        predicted.append(Side(ids, {renamed[i]: c for i, c in video.classes.items()}))
    metrics = score(folder, gt, predicted).summary()
    assert set(metrics.values()) == {100.0}


@few
@given(seeds)
def test_order_and_predictions_on_void_do_not_matter(folder, seed):
    gt, predicted = random_case(seed)
    expected = score(folder, gt, predicted).summary()
    turned = score(folder, gt[::-1], predicted[::-1]).summary()
    assert turned == pytest.approx(expected, abs=1e-9)
    for one, other in zip(gt, predicted, strict=True):
        other.ids = np.where(one.ids == 0, 0, other.ids)
    cut = score(folder, gt, predicted).summary()
    assert cut['sq'] == pytest.approx(expected['sq'], abs=1e-9)


def test_no_scored_tubes(folder):
    """Videos too short for a window, and no things."""
    ids = np.full((3, 4, 4), 9)
    metrics = score(folder, [Side(ids, {9: 0})], [Side(ids, {9: 0})]).summary()
    assert metrics['vpq1'] == metrics['vpq2_stuff'] == metrics['sq'] == 100
    assert metrics['vpq4'] == metrics['vpq'] == metrics['vpq1_thing'] == -1
    assert metrics['aq'] == metrics['stq'] == -1


def test_id_switch_affects_association_and_long_windows_only(folder):
    gt = Side(np.full((6, 4, 4), 9), {9: 4})
    switched = np.where(np.arange(6)[:, None, None] < 3, 9, 8) * np.ones((6, 4, 4), int)
    metrics = score(folder, [gt], [Side(switched, {9: 4, 8: 4})]).summary()
    assert metrics['vpq1'] == metrics['sq'] == 100
    # One of five windows of two frames has the switch: two false positives and one miss.
    assert metrics['vpq2'] == pytest.approx(100 * 4 / (4 + 1.5))
    assert metrics['vpq6'] == 0
    assert metrics['aq'] == pytest.approx(50)


def test_sliding_sums():
    frames = np.random.default_rng(0).integers(0, 9, (7, 2, 3))
    sums = SlidingSums((1, 3, 8))
    for stop, frame in enumerate(frames, 1):
        reached = dict(sums.add(frame))
        assert set(reached) == {window for window in (1, 3, 8) if window <= stop}
        for window, total in reached.items():
            np.testing.assert_array_equal(total, frames[stop - window : stop].sum(axis=0))
