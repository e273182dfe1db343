"""Masks stored as one id map behave as mmdet's bitmap masks, in less memory."""

import pickle

import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from axialvs.datasets.segment_masks import SegmentMasks, number_segments

NUMBERS = np.array([1, 2, 5, 300])


@pytest.fixture
def masks():
    """Return blobs of six segments; two are not listed and 300 has no pixel."""
    coarse = np.random.default_rng(0).integers(0, 6, (4, 5))
    return SegmentMasks(coarse.repeat(7, 0).repeat(6, 1).astype(np.uint16), NUMBERS)


def as_bitmaps(masks):
    planes = np.stack([masks.segments == number for number in masks.numbers])
    return BitmapMasks(planes.astype(np.uint8), masks.height, masks.width)


@pytest.mark.parametrize(
    ('method', 'argument'),
    [
        ('rescale', (20, 33)),
        ('rescale', (57, 90)),
        ('resize', (11, 40)),
        ('flip', 'horizontal'),
        ('flip', 'vertical'),
        ('pad', (30, 41)),
        ('crop', np.array([3, 5, 40, 20])),
        ('crop', np.array([0, 0, 7, 9])),
        ('__getitem__', np.array([3, 0])),
        ('__getitem__', np.array([False, True, False, True])),
        ('__getitem__', np.zeros(0, dtype=int)),
    ],
)
def test_equal_to_bitmaps(masks, method, argument):
    found = getattr(masks, method)(argument)
    expected = getattr(as_bitmaps(masks), method)(argument)
    assert isinstance(found, SegmentMasks)
    assert len(found) == len(expected)
    assert (found.height, found.width) == (expected.height, expected.width)
    np.testing.assert_array_equal(found.masks, expected.masks)
    np.testing.assert_array_equal(found.at_stride(4), expected.masks[:, ::4, ::4])
    np.testing.assert_array_equal(found.areas, expected.areas)
    boxes, of_bitmaps = (x.get_bboxes('hbox').tensor for x in (found, expected))
    assert boxes.tolist() == of_bitmaps.tolist()


def test_no_masks():
    empty = SegmentMasks(np.zeros((4, 6), np.uint16), np.zeros(0, int))
    assert empty.flip().masks.shape == (0, 4, 6)
    assert empty.areas.shape == (0,)
    assert empty.get_bboxes('hbox').tensor.shape == (0, 4)


def test_memory_does_not_grow_with_the_number_of_masks():
    segments = np.arange(30, dtype=np.uint16).repeat(24 * 30).reshape(720, 30).repeat(40, 1)
    masks = SegmentMasks(segments, np.arange(1, 31)).crop(np.array([0, 0, 1000, 600]))
    assert len(pickle.dumps(masks)) < 2.1 * 600 * 1000


def test_number_segments():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (9, 13), (1, 40)):
        ids = rng.integers(0, 4, shape) * 70_000
        distinct, places = number_segments(ids)
        expected, inverse = np.unique(ids, return_inverse=True)
        np.testing.assert_array_equal(distinct, expected)
        np.testing.assert_array_equal(places, inverse.reshape(shape))
