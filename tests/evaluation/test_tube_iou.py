"""Tube IoU, compared with sums over dense masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rlemasklib import RLEMask

from axialvs.evaluation import tube_iou
from axialvs.evaluation.tube_iou import frame_ious, tube_overlaps

LENGTH, HEIGHT, WIDTH = 3, 4, 9
many = settings(deadline=None)


def draw_tube(seed: int) -> np.ndarray:
    """Draw a tube (L, H, W), dense or sparse, with some empty frames."""
    random = np.random.default_rng(seed)
    tube = random.random((LENGTH, HEIGHT, WIDTH)) < random.choice([0.1, 0.5, 0.9, 1])
    return tube & (random.random((LENGTH, 1, 1)) < 0.8)


tubes = st.integers(0, 2**32 - 1).map(draw_tube)
pairs = st.tuples(st.lists(tubes, max_size=3), st.lists(tubes, max_size=3))


def encode(tube: np.ndarray) -> list[RLEMask | None]:
    """Encode tubes; empty masks become None in even tubes and stay in odd tubes."""
    keep_empty = tube.sum() % 2
    return [RLEMask.from_array(m) if m.any() or keep_empty else None for m in tube]


def overlaps(detections, gts, at_least=0.0, comparable=None):
    if comparable is None:
        comparable = np.ones((len(detections), len(gts)), dtype=bool)
    encoded = ([encode(tube) for tube in side] for side in (detections, gts))
    return tube_overlaps(*encoded, comparable, at_least)


def dense_ious(detections, gts) -> np.ndarray:
    ious = np.zeros((len(detections), len(gts)))
    for i, detection in enumerate(detections):
        for j, gt in enumerate(gts):
            union = (detection | gt).sum()
            ious[i, j] = (detection & gt).sum() / union if union else 0.0
    return ious


@many
@given(pairs)
def test_matches_sums_over_masks(pair):
    result = overlaps(*pair)
    np.testing.assert_array_equal(result.ious, dense_ious(*pair))
    for areas, side in zip((result.areas, result.gt_areas), pair, strict=True):
        assert areas.tolist() == [tube.sum(axis=(1, 2)).tolist() for tube in side]


@many
@given(pairs, st.floats(0, 1))
def test_lower_bound_keeps_ious_above_it(pair, at_least):
    exact = dense_ious(*pair)
    ious = overlaps(*pair, at_least=at_least).ious
    wanted = exact >= at_least
    np.testing.assert_array_equal(ious[wanted], exact[wanted])
    assert (ious[~wanted] < at_least).all()


@many
@given(pairs)
def test_long_videos_are_summed_in_parts(pair):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tube_iou, '_MAX_RLE_PIXELS', 2 * HEIGHT * WIDTH)
        np.testing.assert_array_equal(overlaps(*pair).ious, dense_ious(*pair))


def test_only_comparable_pairs_are_compared():
    tube = np.ones((LENGTH, HEIGHT, WIDTH), dtype=bool)
    comparable = np.eye(2, dtype=bool)
    ious = overlaps([tube] * 2, [tube] * 2, comparable=comparable).ious
    np.testing.assert_array_equal(ious, np.eye(2))


@many
@given(pairs)
def test_single_frames_as_tubes(pair):
    for frame in range(LENGTH):
        masks, others = ([encode(tube)[frame] for tube in side] for side in pair)
        expected = dense_ious(*([tube[frame] for tube in side] for side in pair))
        np.testing.assert_array_equal(frame_ious(masks, others), expected)
