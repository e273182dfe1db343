"""Overlays: tinted pixels, stable colors, labels inside the frame."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from axialvs.visualization.labels import LabelStyle, place_inside, place_label
from axialvs.visualization.overlay import (
    MASK_OPACITY,
    STUFF_OPACITY,
    OverlayStyle,
    draw_tracks,
    stuff_color,
    track_color,
)
from axialvs.visualization.text import plain_text

NAMES = ('cat', 'dog')


def disc(center, radius, size=(240, 320)):
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, center, radius, 1, cv2.FILLED)
    return mask.astype(bool)


def test_only_the_mask_is_tinted():
    image = np.full((240, 320, 3), 100, np.uint8)
    mask = disc((160, 150), 50)
    drawn = draw_tracks(image, mask[None], [7], [1], [0.9], NAMES)
    assert np.array_equal(image, np.full_like(image, 100)), 'the input stays as it is'
    expected = (1 - MASK_OPACITY) * 100 + MASK_OPACITY * np.array(track_color(7))
    np.testing.assert_allclose(drawn[150, 160], expected, atol=1)
    assert np.array_equal(drawn[205:], image[205:])
    assert np.array_equal(drawn[:, :80], image[:, :80])
    edge = drawn[150, 110:112].astype(int)
    assert (np.abs(edge - track_color(7)).sum(axis=1) < 60).any(), 'the contour is in full color'


def test_small_objects_are_drawn_on_top_of_large_ones():
    image = np.full((240, 320, 3), 100, np.uint8)
    masks = np.stack([disc((160, 120), 20), disc((160, 120), 90)])
    drawn = draw_tracks(image, masks, [1, 2], [0, 0], [0.9, 0.9], NAMES)
    alone = draw_tracks(image, masks[1:], [2], [0], [0.9], NAMES)
    base = alone[120, 160].astype(float)
    expected = (1 - MASK_OPACITY) * base + MASK_OPACITY * np.array(track_color(1))
    np.testing.assert_allclose(drawn[125, 160], expected, atol=1)


def test_colors_depend_on_the_id_only_and_are_distinct():
    image = np.zeros((240, 320, 3), np.uint8)
    first, second = disc((60, 150), 30), disc((250, 150), 30)
    both = draw_tracks(image, np.stack([first, second]), [3, 5], [0, 1], [0.5, 0.7], NAMES)
    one = draw_tracks(image, second[None], [5], [0], [0.1], NAMES)
    assert np.array_equal(both[165, 250], one[165, 250])
    colors = np.array([track_color(i) for i in range(12)])
    assert min(np.abs(a - b).max() for a, b in combinations(colors, 2)) >= 40
    assert colors.max(axis=1).min() > 150


def test_stuff_has_its_class_color_and_is_below_things():
    image = np.full((240, 320, 3), 100, np.uint8)
    ground = np.zeros((240, 320), bool)
    ground[120:] = True
    thing = disc((160, 150), 90)  # larger than the stuff
    masks = np.stack([thing, ground])

    def draw(ids):
        return draw_tracks(image, masks, ids, [0, 1], [0.9, 0.9], NAMES, [True, False])

    drawn = draw([1, 2])
    assert np.array_equal(drawn, draw([1, 9]))  # the id of stuff does not matter
    expected = (1 - STUFF_OPACITY) * 100 + STUFF_OPACITY * np.array(stuff_color(1))
    np.testing.assert_allclose(drawn[235, 5], expected, atol=1)
    expected = (1 - MASK_OPACITY) * expected + MASK_OPACITY * np.array(track_color(1))
    np.testing.assert_allclose(drawn[200, 160], expected, atol=1)
    pairs = combinations([np.array(stuff_color(i)) for i in range(12)], 2)
    assert min(np.abs(a - b).max() for a, b in pairs) >= 30


def test_style_sets_text_and_opacity():
    image = np.full((240, 320, 3), 100, np.uint8)
    mask = disc((160, 150), 50)

    def draw(**style):
        style = OverlayStyle(**style)
        return draw_tracks(image, mask[None], [7], [1], [0.9], NAMES, style=style)

    def label_width(drawn):
        return (drawn[:98] != 100).any((0, 2)).sum()

    assert label_width(draw()) > label_width(draw(labels='class')) > 0
    bare = draw(labels='none', opacity=1)
    assert label_width(bare) == 0
    assert (bare[150, 160] == track_color(7)).all()
    rows, columns = np.nonzero((draw(labels='none', boxes=True) != draw(labels='none')).any(2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (100, 200, 110, 210)


def test_inner_label_is_at_the_widest_part_or_omitted():
    mask = np.zeros((200, 300), np.uint8)
    mask[:20] = 1
    mask[100:, 200:] = 1
    x, y, width, height = place_inside(mask, (60, 30), [])
    assert (width, height) == (60, 30)
    assert mask[y : y + height, x : x + width].all()
    other = place_inside(mask, (60, 30), [(x, y, width, height)])
    assert other is None or not (other[1] < y + height and y < other[1] + height)
    assert place_inside(mask, (60, 30), [(200, 100, 100, 100)]) is None


def test_label_is_at_the_largest_part():
    """A far fragment does not pull the label away from its object."""
    image = np.full((240, 320, 3), 100, np.uint8)
    mask = disc((250, 180), 40) | disc((5, 30), 3)
    drawn = draw_tracks(image, mask[None], [1], [0], [0.9], NAMES)
    assert (drawn[:60, :150] == 100).all(2).mean() > 0.98


def test_image_is_unchanged_without_masks():
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    none = draw_tracks(image, np.zeros((0, 24, 32), bool), [], [], [], NAMES)
    assert np.array_equal(none, image)
    empty = draw_tracks(image, np.zeros((1, 24, 32), bool), [1], [0], [0.5], NAMES)
    assert np.array_equal(empty, image)


@pytest.mark.parametrize('size', [(96, 160), (1080, 1920)])
@pytest.mark.parametrize('corner', ['top left', 'bottom right'])
def test_labels_at_the_border_are_inside_the_frame(size, corner):
    height, width = size
    style = LabelStyle.for_image(height, width)
    box = (0, 0, 9, 9) if corner == 'top left' else (width - 9, height - 9, 9, 9)
    x, y, label_width, label_height = place_label(box, (50, 12), [], (width, height))
    assert 0 <= x <= width - label_width
    assert 0 <= y <= height - label_height
    assert (label_width, label_height) == (50, 12)
    assert style.stroke >= 1


def test_labels_of_overlapping_objects_do_not_overlap():
    taken = []
    for _ in range(4):
        taken.append(place_label((100, 100, 60, 60), (40, 12), taken, (320, 240)))
    for first, second in combinations(taken, 2):
        apart_x = first[0] + 40 <= second[0] or second[0] + 40 <= first[0]
        apart_y = first[1] + 12 <= second[1] or second[1] + 12 <= first[1]
        assert apart_x or apart_y


def test_text_contrasts_with_its_background_and_grows_with_the_image():
    heights = []
    for size in ((240, 320), (960, 1280)):
        scale = size[0] // 240
        image = np.full((*size, 3), 128, np.uint8)
        mask = disc((160 * scale, 150 * scale), 40 * scale, size)
        for track in range(10):
            drawn = draw_tracks(image, mask[None], [track], [0], [0.5], NAMES)
            above = drawn[: 109 * scale]  # the label lies above the disc
            rows, columns = np.nonzero((above != 128).any(axis=2))
            label = above[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            luma = label @ np.array([0.299, 0.587, 0.114])
            color = np.array(track_color(track)) @ np.array([0.299, 0.587, 0.114])
            assert np.abs(luma - color).max() > 90
        heights.append(label.shape[0])
    assert heights[1] > 2 * heights[0]


def test_unsupported_characters_of_a_name_are_replaced():
    assert plain_text('Löwe né 犬') == 'Lowe ne ?'


def test_errors_name_mismatched_arrays():
    image = np.zeros((24, 32, 3), np.uint8)
    with pytest.raises(ValueError, match='1 masks, 2 ids'):
        draw_tracks(image, np.zeros((1, 24, 32), bool), [1, 2], [0], [0.5], NAMES)
    with pytest.raises(ValueError, match=r'masks have .*\(12, 16\)'):
        draw_tracks(image, np.zeros((1, 12, 16), bool), [1], [0], [0.5], NAMES)
