"""Identity switches of hand-made tracks."""

import pytest
from track_cases import box, gt_of, read, result

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.evaluation.id_switches import count_id_switches
from axialvs.evaluation.results import check_results

LEFT, RIGHT = box(0, 0, 100, 100), box(200, 100, 100, 100)
NEAR_LEFT = box(10, 0, 100, 100)  # IoU 0.82 with LEFT
FAR_LEFT = box(30, 0, 100, 100)  # 0.54


def count(folder, gts, results, length=4, **options):
    annotations = read(folder, gt_of([length], gts))
    return count_id_switches(annotations, check_results(results, annotations, 'r'), **options)


def test_track_covers_all_frames(folder):
    found = count(folder, [(1, 2, [LEFT] * 4)], [result(1, 2, 0.9, [NEAR_LEFT] * 4)])
    assert (found.total, found.visible, found.followed) == (0, 4, 4)


def test_switch_to_another_track(folder):
    first, second = [LEFT, LEFT, None, None], [None, None, LEFT, LEFT]
    found = count(
        folder, [(1, 2, [LEFT] * 4)], [result(1, 2, 0.9, first), result(1, 2, 0.8, second)]
    )
    assert found.switches == {1: {1: 1}}


def test_two_tracks_swap(folder):
    gts = [(1, 2, [LEFT] * 4), (1, 2, [RIGHT] * 4)]
    results = [
        result(1, 2, 0.9, [LEFT, LEFT, RIGHT, LEFT]),
        result(1, 2, 0.8, [RIGHT, RIGHT, LEFT, RIGHT]),
    ]
    found = count(folder, gts, results)
    assert found.switches == {1: {1: 2, 2: 2}}
    assert found.total == 4
    assert found.followed == 8


def test_gap_is_no_switch_but_a_new_track_after_it_is(folder):
    back = [result(1, 2, 0.9, [LEFT, None, LEFT, LEFT])]
    assert count(folder, [(1, 2, [LEFT] * 4)], back).total == 0
    hidden = [(1, 2, [LEFT, None, None, LEFT])]
    other = [result(1, 2, 0.9, [LEFT, None, None, None]), result(1, 2, 0.9, [None] * 3 + [LEFT])]
    found = count(folder, hidden, other)
    assert (found.total, found.visible, found.followed) == (1, 2, 2)


def test_existing_match_is_kept_despite_a_better_track(folder):
    lasting = result(1, 2, 0.9, [LEFT, FAR_LEFT, FAR_LEFT, LEFT])
    better = result(1, 2, 0.8, [None, LEFT, LEFT, None])
    assert count(folder, [(1, 2, [LEFT] * 4)], [lasting, better]).total == 0


def test_unmatched_below_the_iou(folder):
    tracks = [result(1, 2, 0.9, [FAR_LEFT] * 4)]
    assert count(folder, [(1, 2, [LEFT] * 4)], tracks).followed == 4
    assert count(folder, [(1, 2, [LEFT] * 4)], tracks, min_iou=0.6).followed == 0


def test_matching_maximizes_the_total_iou(folder):
    """The best track of the first object is assigned to the second, which has no other."""
    gts = [(1, 2, [NEAR_LEFT]), (1, 2, [LEFT])]
    tracks = [result(1, 2, 0.9, [LEFT]), result(1, 2, 0.9, [FAR_LEFT])]
    assert count(folder, gts, tracks, length=1, min_iou=0.6).followed == 2


def test_scores_categories_and_crowds(folder):
    gts = [(1, 2, [LEFT] * 4), (1, 5, [RIGHT] * 4, True)]
    tracks = [
        result(1, 2, 0.9, [LEFT, None, LEFT, LEFT]),
        result(1, 2, 0.1, [None, LEFT, None, None]),
        result(1, 5, 0.9, [RIGHT] * 4),
    ]
    assert count(folder, gts, tracks).total == 2
    assert count(folder, gts, tracks, min_score=0.5).total == 0
    as_other = [{**track, 'category_id': 5} for track in tracks]
    found = count(folder, gts, as_other)
    assert (found.followed, found.visible) == (0, 4)
    assert count(folder, gts, as_other, same_category=False).total == 2


def test_needs_annotations(folder):
    gt = gt_of([1], [])
    del gt['annotations']
    with pytest.raises(AnnotationError, match="field 'annotations'"):
        count_id_switches(read(folder, gt), [])
