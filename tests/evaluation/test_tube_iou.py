"""Tube IoU, against sums over dense masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from axialvs.evaluation import tube_iou
from axialvs.evaluation.tube_iou import TubeError, tube_overlaps

LENGTH, HEIGHT, WIDTH = 3, 4, 9
SIZE = HEIGHT, WIDTH
many = settings(deadline=None)


def draw_tube(seed: int) -> np.ndarray:
    """(L, H, W) bool, dense or sparse; some frames are empty."""
    random = np.random.default_rng(seed)
    tube = random.random((LENGTH, HEIGHT, WIDTH)) < random.choice([0.1, 0.5, 0.9, 1])
    return tube & (random.random((LENGTH, 1, 1)) < 0.8)


tubes = st.integers(0, 2**32 - 1).map(draw_tube)
pairs = st.tuples(st.lists(tubes, max_size=3), st.lists(tubes, max_size=3))


def encode(tube: np.ndarray) -> list[str | None]:
    """Empty masks of even tubes are None, those of others stay empty masks."""
    rles = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in tube]
    keep_empty = tube.sum() % 2
    return [
        rle['counts'].decode() if mask.any() or keep_empty else None
        for rle, mask in zip(rles, tube, strict=True)
    ]


def overlaps(detections, truths, at_least=0.0, comparable=None):
    if comparable is None:
        comparable = np.ones((len(detections), len(truths)), dtype=bool)
    return tube_overlaps(
        [encode(tube) for tube in detections],
        [encode(tube) for tube in truths],
        comparable,
        SIZE,
        at_least,
    )


def dense_ious(detections, truths) -> np.ndarray:
    ious = np.zeros((len(detections), len(truths)))
    for i, detection in enumerate(detections):
        for j, truth in enumerate(truths):
            union = (detection | truth).sum()
            ious[i, j] = (detection & truth).sum() / union if union else 0.0
    return ious


@many
@given(pairs)
def test_equals_sums_over_masks(pair):
    found = overlaps(*pair)
    np.testing.assert_array_equal(found.ious, dense_ious(*pair))
    for areas, side in zip((found.detection_areas, found.truth_areas), pair, strict=True):
        assert areas.tolist() == [tube.sum(axis=(1, 2)).tolist() for tube in side]


@many
@given(pairs, st.floats(0, 1))
def test_bound_changes_nothing_from_it_on(pair, at_least):
    exact = dense_ious(*pair)
    found = overlaps(*pair, at_least=at_least).ious
    wanted = exact >= at_least
    np.testing.assert_array_equal(found[wanted], exact[wanted])
    assert (found[~wanted] < at_least).all()


@many
@given(pairs)
def test_parts_of_a_long_video_add_up(pair):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tube_iou, 'MAX_CHARACTERS_AT_ONCE', 1)
        np.testing.assert_array_equal(overlaps(*pair).ious, dense_ious(*pair))


def test_only_comparable_pairs_are_compared():
    tube = np.ones((LENGTH, HEIGHT, WIDTH), dtype=bool)
    comparable = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(
        overlaps([tube] * 2, [tube] * 2, comparable=comparable).ious, np.eye(2)
    )


@pytest.mark.parametrize('at_once', [tube_iou.MAX_CHARACTERS_AT_ONCE, 1])
def test_fault_is_located(monkeypatch, at_once):
    monkeypatch.setattr(tube_iou, 'MAX_CHARACTERS_AT_ONCE', at_once)
    good = encode(np.ones((LENGTH, HEIGHT, WIDTH), dtype=bool))
    bad = [good[0], None, '!']
    with pytest.raises(TubeError) as caught:
        tube_overlaps([good], [good, bad], np.ones((1, 2), dtype=bool), SIZE)
    assert (caught.value.tube, caught.value.frame) == (2, 2)
