"""VPQ and STQ: a fixture of the release, set arithmetic on random cases, and properties."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panoptic_cases import STUFF, THINGS, Side, expected_figures, random_case, score

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
    figures = score(folder, sides['gt'], sides['pred']).summary()
    expected = {name.removesuffix('_all'): value for name, value in described['expected'].items()}
    assert len(expected) == 15
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, abs=1e-9, rel=0)


@few
@given(seeds)
def test_equals_set_arithmetic(folder, seed):
    truth, predicted = random_case(seed)
    figures = score(folder, truth, predicted).summary()
    assert figures == pytest.approx(expected_figures(truth, predicted), abs=1e-9, rel=0)


@pytest.mark.parametrize('seed', range(3))
def test_processes_change_nothing(folder, seed):
    case = random_case(seed)
    assert score(folder, *case, workers=1).summary() == score(folder, *case, workers=3).summary()


def test_perfect_prediction_under_other_ids(folder):
    truth, _ = random_case(5)
    for video in truth:
        video.crowds = frozenset()
        video.ids = np.concatenate([video.ids] * 6)  # every window is reached
    predicted = []
    for video in truth:
        renamed = {i: i and 2**24 - 1 - i for i in video.classes}
        ids = np.vectorize(renamed.get)(video.ids)
        predicted.append(Side(ids, {renamed[i]: c for i, c in video.classes.items()}))
    figures = score(folder, truth, predicted).summary()
    assert set(figures.values()) == {100.0}


@few
@given(seeds)
def test_order_of_videos_and_sq_on_void_do_not_matter(folder, seed):
    truth, predicted = random_case(seed)
    expected = score(folder, truth, predicted).summary()
    turned = score(folder, truth[::-1], predicted[::-1]).summary()
    assert turned == pytest.approx(expected, abs=1e-9)
    for one, other in zip(truth, predicted, strict=True):
        other.ids = np.where(one.ids == 0, 0, other.ids)
    cut = score(folder, truth, predicted).summary()
    assert cut['sq'] == pytest.approx(expected['sq'], abs=1e-9)


def test_nothing_counts(folder):
    """Videos too short for a window, and no things."""
    ids = np.full((3, 4, 4), 9)
    figures = score(folder, [Side(ids, {9: 0})], [Side(ids, {9: 0})]).summary()
    assert figures['vpq1'] == figures['vpq2_stuff'] == figures['sq'] == 100
    assert figures['vpq4'] == figures['vpq'] == figures['vpq1_thing'] == -1
    assert figures['aq'] == figures['stq'] == -1


def test_an_identity_switch_costs_association_and_long_windows_only(folder):
    truth = Side(np.full((6, 4, 4), 9), {9: 4})
    switched = np.where(np.arange(6)[:, None, None] < 3, 9, 8) * np.ones((6, 4, 4), int)
    figures = score(folder, [truth], [Side(switched, {9: 4, 8: 4})]).summary()
    assert figures['vpq1'] == figures['sq'] == 100
    # Of five windows of two frames one has the switch: two wrong tubes and a missed one.
    assert figures['vpq2'] == pytest.approx(100 * 4 / (4 + 1.5))
    assert figures['vpq6'] == 0
    assert figures['aq'] == pytest.approx(50)


def test_sliding_sums():
    frames = np.random.default_rng(0).integers(0, 9, (7, 2, 3))
    sums = SlidingSums((1, 3, 8))
    for stop, frame in enumerate(frames, 1):
        reached = dict(sums.add(frame))
        assert set(reached) == {window for window in (1, 3, 8) if window <= stop}
        for window, total in reached.items():
            np.testing.assert_array_equal(total, frames[stop - window : stop].sum(axis=0))
