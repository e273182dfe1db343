"""HOTA and IDF1: a fixture of TrackEval, and hand-made tracks."""

import json
from pathlib import Path

import pytest
from track_cases import box, gt_of, random_case, read, result

from axialvs.evaluation.results import check_results
from axialvs.evaluation.tracking import TRACKING_METRICS, evaluate_tracking

PARITY = Path(__file__).parents[1] / 'data' / 'parity'
LEFT, RIGHT = box(0, 0, 100, 100), box(200, 100, 100, 100)


def evaluate(folder, gt, results):
    annotations = read(folder, gt)
    return evaluate_tracking(annotations, check_results(results, annotations, 'r'))


def test_matches_trackeval(folder):
    case = json.loads((PARITY / 'youtube_vis_ap.json').read_text())
    expected = json.loads((PARITY / 'tracking_scores.json').read_text())
    found = evaluate(folder, case['ground_truth'], case['results'])
    for (_, name), counts in found.counts.items():
        assert counts.metrics() == pytest.approx(expected[name], abs=1e-9, rel=0)
    assert found.summary() == pytest.approx(expected['cls_comb_cls_av'], abs=1e-9, rel=0)
    assert found.pooled() == pytest.approx(expected['cls_comb_det_av'], abs=1e-9, rel=0)


def test_perfect(folder):
    gt, _ = random_case(3)
    results = [
        result(x['video_id'], x['category_id'], 0.1, x['segmentations'])
        for x in gt['annotations']
        if any(x['areas'])
    ]
    gt['annotations'] = [x for x in gt['annotations'] if any(x['areas'])]
    found = evaluate(folder, gt, results).summary()
    assert found == pytest.approx(dict.fromkeys(TRACKING_METRICS, 1.0))


def test_switch_affects_association_only(folder):
    first, second = [LEFT, LEFT, None, None], [None, None, LEFT, LEFT]
    results = [result(1, 2, 0.9, first), result(1, 2, 0.8, second)]
    found = evaluate(folder, gt_of([4], [(1, 2, [LEFT] * 4)]), results).summary()
    # Each half is associated with 2 of 4 frames.
    assert found == pytest.approx(
        {
            **{'HOTA': 0.5**0.5, 'DetA': 1, 'AssA': 0.5, 'LocA': 1},
            **{'IDF1': 0.5, 'IDR': 0.5, 'IDP': 0.5},
        }
    )


def test_classes_are_separate_and_empty_ones_skipped(folder):
    gt = gt_of([1], [(1, 2, [LEFT])], categories=(2, 5, 6))
    assert evaluate(folder, gt, [result(1, 2, 0.9, [LEFT])]).summary()['HOTA'] == 1
    found = evaluate(folder, gt, [result(1, 5, 0.9, [LEFT])])
    assert found.summary()['HOTA'] == 0
    assert [counts.is_empty for counts in found.counts.values()] == [False, False, True]


def test_nothing_to_evaluate(folder):
    found = evaluate(folder, gt_of([2], []), []).summary()
    assert found == dict.fromkeys(TRACKING_METRICS, -1)
