"""Tests of trails: position, fading, and removal."""

import numpy as np
import pytest

from axialvs.visualization.overlay import OverlayStyle, draw_tracks, track_color
from axialvs.visualization.trails import Trails, draw_trail

SIZE = 40, 120


def square(x: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[18:23, x - 2 : x + 3] = True
    return mask


def test_trail_has_the_last_centroids():
    trails = Trails(3)
    for x in (10, 15, 20, 25):
        first, second = trails.add([7, 9], np.stack([square(x), square(5)]))
    assert first.tolist() == [[15, 20], [20, 20], [25, 20]]
    assert second.tolist() == [[5, 20]] * 3


def test_hidden_track_has_a_gap_and_is_then_removed():
    trails, empty = Trails(2), np.zeros((0, *SIZE), dtype=bool)
    trails.add([7], square(10)[None])
    trails.add([], empty)
    (points,) = trails.add([7], square(15)[None])
    assert np.isnan(points[0]).all()
    assert points[1].tolist() == [15, 20]
    for _ in range(2):
        trails.add([], empty)
    (points,) = trails.add([7], square(30)[None])
    assert points.tolist() == [[30, 20]]


@pytest.mark.parametrize('num_hidden', [0, 1])
def test_trail_restarts_when_the_mask_jumps(num_hidden):
    trails, empty = Trails(9), np.zeros((0, *SIZE), dtype=bool)
    for x in (10, 15):
        trails.add([7], square(x)[None])
    for _ in range(num_hidden):
        trails.add([], empty)
    (points,) = trails.add([7], square(90)[None])
    assert points.tolist() == [[90, 20]]
    (points,) = trails.add([7], square(95)[None])
    assert points.tolist() == [[90, 20], [95, 20]]


def test_trail_fades_and_has_gaps():
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    points = np.array([[5, 20], [15, 20], [np.nan, np.nan], [30, 20], [40, 20], [50, 20]])
    draw_trail(image, points, (200, 0, 0), 1)
    old, gap, new, newest = image[20, [10, 22, 35, 45], 0].tolist()
    assert gap == 0
    assert 0 < old < new < newest <= 200
    assert not image[..., 1:].any()
    assert not image[:15].any()


def test_trails_are_drawn_for_things_only():
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    masks = np.stack([square(50), square(50)[::-1]])
    trails = [np.array([[10.0, 10], [40, 10]]), np.array([[10.0, 30], [40, 30]])]
    style = OverlayStyle(labels='none')
    arguments = [7, 8], [0, 1], None, ('a', 'b'), [True, False], style
    plain = draw_tracks(image, masks, *arguments)
    drawn = draw_tracks(image, masks, *arguments, trails)
    changed = (plain != drawn).any(2)
    assert changed[10, 12:39].all()
    assert not changed[25:].any()
    strongest = drawn[10, 38].astype(float)
    assert np.allclose(strongest / strongest.max(), np.array(track_color(7)) / 255, atol=0.05)
