"""The official metrics: a fixture of the official evaluator, mmdet's evaluator, and properties."""

import contextlib
import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mmdet.evaluation.functional import YTVIS, YTVISeval
from track_cases import as_results, box, gt_of, random_case, read, result, score, summary

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.evaluation.results import ResultsError

FIXTURE = Path(__file__).parents[1] / 'data' / 'parity' / 'youtube_vis_ap.json'
TOLERANCE = 1e-9
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**32 - 1)


def official(gt: dict, results: list[dict]) -> dict[str, float]:
    """Return the metrics of mmdet's copy of the official evaluator."""
    with contextlib.redirect_stdout(io.StringIO()):
        annotations = YTVIS(copy.deepcopy(gt))
        found = annotations.loadRes(copy.deepcopy(results))
        evaluator = YTVISeval(annotations, found)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    names = 'AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl'
    return dict(zip(names, evaluator.stats.tolist(), strict=True))


@pytest.fixture(scope='module')
def fixture():
    return json.loads(FIXTURE.read_text())


def test_fixture(fixture, folder):
    metrics = summary(folder, fixture['ground_truth'], fixture['results'])
    assert metrics == pytest.approx(fixture['expected'], abs=TOLERANCE, rel=0)
    assert list(metrics) == list(fixture['expected'])


def test_fixture_with_measured_areas(fixture, folder):
    """Without the field `areas`, sizes are measured from the masks, with equal results."""
    gt = copy.deepcopy(fixture['ground_truth'])
    for annotation in gt['annotations']:
        del annotation['areas']
    metrics = summary(folder, gt, fixture['results'])
    assert metrics == pytest.approx(fixture['expected'], abs=TOLERANCE, rel=0)


def test_number_of_processes_does_not_change_metrics(fixture, folder):
    one, four = (
        score(folder, fixture['ground_truth'], fixture['results'], workers) for workers in (1, 4)
    )
    assert one.per_class() == four.per_class()
    assert one.per_video() == four.per_video()


@settings(few, max_examples=60)
@given(seeds)
def test_matches_mmdet(folder, seed):
    gt, results = random_case(seed)
    assume(results)
    expected = official(gt, results)
    assert summary(folder, gt, results) == pytest.approx(expected, abs=TOLERANCE, rel=0)


@few
@given(seeds, st.randoms(use_true_random=False))
def test_order_does_not_matter(folder, seed, random):
    gt, results = random_case(seed)
    for index, entry in enumerate(results):  # the order of equal scores does matter
        entry['score'] += index / 1000
    expected = summary(folder, gt, results)
    for entries in (gt['annotations'], gt['videos'], gt['categories'], results):
        random.shuffle(entries)
    assert summary(folder, gt, results) == pytest.approx(expected, abs=1e-12)


@few
@given(seeds)
def test_metrics_depend_only_on_the_order_of_scores(folder, seed):
    gt, results = random_case(seed)
    expected = summary(folder, gt, results)
    for entry in results:
        entry['score'] = float(np.exp(5 * entry['score']) - 100)
    assert summary(folder, gt, results) == expected


@few
@given(seeds)
def test_ground_truth_is_perfect(folder, seed):
    gt, _ = random_case(seed)
    # A track without pixels cannot be matched.
    gt['annotations'] = [x for x in gt['annotations'] if any(x['areas']) and not x['iscrowd']]
    assume(gt['annotations'])
    metrics = summary(folder, gt, as_results(gt))
    # AR1 and AR10 are not 1 where a video has more tracks of a category.
    metrics = {k: v for k, v in metrics.items() if k not in ('AR1', 'AR10')}
    assert metrics['AP'] == pytest.approx(1.0)
    assert all(value == pytest.approx(1.0) or value == -1.0 for value in metrics.values())


@few
@given(seeds, st.data())
def test_splitting_a_track_never_raises_ap(folder, seed, data):
    """A track is replaced by two halves with the same score."""
    gt, _ = random_case(seed)
    results = as_results(gt)
    long = [x for x in results if sum(mask is not None for mask in x['segmentations']) > 1]
    assume(long)
    whole = data.draw(st.sampled_from(long))
    cut = data.draw(st.integers(1, len(whole['segmentations']) - 1))
    before = summary(folder, gt, results)
    masks = whole['segmentations']
    halves = masks[:cut] + [None] * (len(masks) - cut), [None] * cut + masks[cut:]
    results.remove(whole)
    results += [{**whole, 'segmentations': half} for half in halves]
    assert summary(folder, gt, results)['AP'] <= before['AP'] + 1e-12


@few
@given(seeds, st.data())
def test_false_positive_of_low_score_never_raises_ap(folder, seed, data):
    gt, results = random_case(seed)
    before = summary(folder, gt, results)
    video = data.draw(st.sampled_from(gt['videos']))
    nowhere = [None] * video['length']  # never matches
    results.append(result(video['id'], 2, -1.0, nowhere))
    assert summary(folder, gt, results)['AP'] <= before['AP'] + 1e-12


def test_detections_on_crowds_are_ignored(folder):
    masks = [box(10, 10, 50, 50)] * 2
    other = [box(200, 100, 50, 50)] * 2
    gt = gt_of([2], [(1, 2, masks, True), (1, 2, other)])
    results = [result(1, 2, 0.9, masks), result(1, 2, 0.8, masks), result(1, 2, 0.7, other)]
    found = score(folder, gt, results)
    assert found.summary()['AP'] == pytest.approx(1.0)
    assert found.per_class()['class 2']['gts'] == 1
    assert found.per_video()[1]['matched'] == 1


def test_only_crowds_give_no_score(folder):
    masks = [box(10, 10, 50, 50)]
    found = score(folder, gt_of([1], [(1, 2, masks, True)]), [result(1, 2, 0.9, masks)])
    assert set(found.summary().values()) == {-1.0}


def test_no_results_are_zero(folder):
    metrics = summary(folder, gt_of([1], [(1, 2, [box(10, 10, 50, 50)])]), [])
    assert metrics['AP'] == metrics['AR100'] == metrics['APs'] == 0.0
    assert metrics['APm'] == metrics['ARl'] == -1.0


def test_at_most_100_tracks_per_category_and_video(folder):
    target, speck = [box(10, 10, 90, 90)], [box(200, 200, 3, 3)]
    gt = gt_of([1], [(1, 2, target)])
    wrong = [result(1, 2, 0.9, speck)] * 99
    right, other = result(1, 2, 0.1, target), result(1, 5, 0.95, speck)
    assert summary(folder, gt, [*wrong, right, other])['AR100'] == 1.0
    found = score(folder, gt, [*wrong, result(1, 2, 0.9, speck), right])
    assert found.summary()['AR100'] == 0.0
    assert found.per_video()[1]['tracks'] == 101


def test_null_frames_count_in_the_union(folder):
    mask = box(0, 0, 100, 100)
    gt = gt_of([3], [(1, 2, [mask, mask, None])])
    found = summary(folder, gt, [result(1, 2, 0.5, [mask, None, mask])])
    assert found['AP'] == 0.0  # 1 of 3
    found = summary(folder, gt, [result(1, 2, 0.5, [mask, mask, mask])])
    assert found['AR100'] == pytest.approx(0.4)  # 2 of 3: thresholds 0.5, 0.55, 0.6, 0.65


def test_size_is_the_mean_area_of_visible_frames(folder):
    """An area of 128 squared is both small and medium, as in the official evaluator."""
    mask = box(0, 0, 128, 128)
    gt = gt_of([3], [(1, 2, [None, mask, None])])
    metrics = summary(folder, gt, [result(1, 2, 0.5, [None, mask, None])])
    assert (metrics['APs'], metrics['APm'], metrics['APl']) == pytest.approx((1.0, 1.0, -1.0))


def test_per_class_and_per_video(folder):
    near, far = [box(0, 0, 60, 60)], [box(200, 100, 60, 60)]
    gt = gt_of([1, 1], [(1, 2, near), (1, 5, far), (2, 5, near)])
    results = [result(1, 2, 0.9, near), result(1, 5, 0.8, near), result(2, 5, 0.7, near)]
    found = score(folder, gt, results)
    by_class = found.per_class()
    assert by_class['class 2']['AP'] == pytest.approx(1.0)
    assert by_class['class 5']['AR100'] == pytest.approx(0.5)
    assert found.summary()['AP'] == pytest.approx(
        (by_class['class 2']['AP'] + by_class['class 5']['AP']) / 2
    )
    first, second = found.per_video().values()
    assert first == pytest.approx(
        {'AP': 0.5, 'AP50': 0.5, 'gts': 2, 'matched': 1, 'missed': 1, 'tracks': 2}
    )
    assert second['AP'] == pytest.approx(1.0)


def test_ground_truth_without_annotations(folder):
    gt = gt_of([1], [])
    del gt['annotations']
    with pytest.raises(AnnotationError, match=r"gt\.json: field 'annotations'.*submit"):
        summary(folder, gt, [])


def test_invalid_rle_error_names_entry_and_frame(folder):
    gt = gt_of([2], [(1, 2, [box(0, 0, 9, 9)] * 2)])
    broken = {**box(0, 0, 9, 9), 'counts': 'P0'}
    results = [
        result(1, 2, 0.5, [None, box(0, 0, 9, 9)]),
        result(1, 2, 0.6, [box(0, 0, 9, 9), broken]),
    ]
    with pytest.raises(
        ResultsError, match=r"results: entry 1, video 1, field 'segmentations\[1\]\.counts'.*cover"
    ):
        summary(folder, gt, results)


def test_mask_formats_are_equivalent(folder):
    """Polygons, run lists and compressed RLEs give the same metrics."""
    corner = [[10.0, 10.0, 60.0, 10.0, 60.0, 40.0, 10.0, 40.0]]
    rle = box(10, 10, 50, 30)
    counts = {'size': rle['size'], 'counts': _runs(10, 10, 50, 30)}
    for mask in (corner, rle, counts):
        gt = gt_of([1], [(1, 2, [rle])])
        gt['annotations'][0]['segmentations'] = [mask]
        metrics = summary(folder, gt, [result(1, 2, 0.5, [counts])])
        assert metrics['AP'] == pytest.approx(1.0)
    assert len(read(folder, gt).instances) == 1


def _runs(x, y, width, height) -> list[int]:
    mask = np.zeros((300, 420), dtype=bool)
    mask[y : y + height, x : x + width] = True
    flat = mask.T.ravel()
    borders = np.flatnonzero(np.diff(flat)) + 1
    return np.diff([0, *borders, flat.size]).tolist()


def test_categories_that_share_a_name(folder):
    """Scores are by category id, since names in LV-VIS and UVO are not unique."""
    gt = gt_of([1], [(1, 2, [box(0, 0, 60, 60)]), (1, 5, [box(200, 100, 60, 60)])])
    for category in gt['categories']:
        category['name'] = 'cup'
    found = score(folder, gt, [result(1, 2, 0.9, [box(0, 0, 60, 60)])])
    by_class = found.per_class()
    assert by_class['cup (2)']['AP'] == pytest.approx(1.0)
    assert by_class['cup (5)']['AP'] == 0.0
