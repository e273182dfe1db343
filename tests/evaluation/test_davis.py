"""J&F compared with its definition on small masks."""

import numpy as np
import pytest
from rlemasklib import RLEMask
from track_cases import box, gt_of, read, result

from axialvs.evaluation.davis import evaluate_davis, object_scores
from axialvs.evaluation.results import check_results

SIZE = (40, 60)  # a tolerance of one pixel


def square(top: int, left: int, side: int = 10) -> RLEMask:
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return RLEMask.from_array(mask)


def boundary_of(mask: RLEMask) -> set[tuple[int, int]]:
    pixels = np.asarray(mask).astype(bool)
    found = set()
    for y, x in np.ndindex(SIZE):
        below, right = min(y + 1, SIZE[0] - 1), min(x + 1, SIZE[1] - 1)
        if len({pixels[y, x], pixels[below, x], pixels[y, right], pixels[below, right]}) > 1:
            found.add((y, x))
    return found


def expected_f(mask: RLEMask, other: RLEMask) -> float:
    """Compute F from the distances of all pairs of boundary pixels."""
    one, two = boundary_of(mask), boundary_of(other)
    shares = [
        np.mean([any((y - v) ** 2 + (x - u) ** 2 <= 1 for v, u in b) for y, x in a])
        for a, b in ((one, two), (two, one))
    ]
    return 0.0 if not sum(shares) else 2 * shares[0] * shares[1] / sum(shares)


@pytest.mark.parametrize('other', [(5, 5), (5, 6), (6, 7), (3, 20), (30, 50)])
def test_region_and_contour(other):
    mask, found = square(5, 5), square(*other)
    ((j, f),) = object_scores([[mask]], [[found]], SIZE)
    assert j == pytest.approx((mask & found).area() / (mask | found).area())
    assert f == pytest.approx(expected_f(mask, found))


def test_masks_at_the_border():
    mask, found = square(30, 50), square(29, 49)
    ((_, f),) = object_scores([[mask]], [[found]], SIZE)
    assert f == pytest.approx(expected_f(mask, found))


def test_absent_in_both_scores_one_and_in_one_scores_zero():
    mask = square(5, 5)
    assert object_scores([[mask, None]], [[mask, None]], SIZE).tolist() == [[1, 1]]
    assert object_scores([[mask, None]], [[None, mask]], SIZE).tolist() == [[0, 0]]
    assert object_scores([[mask, None]], [], SIZE).tolist() == [[0.5, 0.5]]


def test_each_object_gets_one_track():
    left, right = square(5, 5), square(5, 30)
    scores = object_scores([[left], [right]], [[right], [left]], SIZE)
    assert scores.tolist() == [[1, 1], [1, 1]]
    scores = object_scores([[left], [right]], [[left]], SIZE)
    assert sorted(scores.tolist()) == [[0, 0], [1, 1]]


def test_mean_is_over_objects_of_all_videos(folder):
    mask = box(10, 10, 50, 50)
    gt = gt_of([1, 2], [(1, 2, [mask]), (2, 2, [mask, mask]), (2, 2, [mask, mask], True)])
    annotations = read(folder, gt)
    # A different class, since only masks are compared.
    results = check_results([result(1, 5, 0.9, [mask])], annotations, 'r')
    assert evaluate_davis(annotations, results) == {'J&F': 0.5, 'J': 0.5, 'F': 0.5}
    empty = read(folder, gt_of([1], []))
    assert set(evaluate_davis(empty, []).values()) == {-1}


def test_only_the_best_twenty_tracks_are_scored(folder):
    mask, speck = box(10, 10, 50, 50), box(200, 200, 3, 3)
    annotations = read(folder, gt_of([1], [(1, 2, [mask])]))
    entries = [result(1, 2, 0.5, [speck])] * 20 + [result(1, 2, 0.4, [mask])]
    assert evaluate_davis(annotations, check_results(entries, annotations, 'r'))['J'] == 0
