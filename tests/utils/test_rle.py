"""The RLE codec, compared with pycocotools, the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from axialvs.utils.rle import (
    MAX_PIXELS,
    RLEError,
    as_rle,
    compress,
    decode_mask,
    encode_crop,
    encode_mask,
    encode_masks,
    mask_areas,
    measure,
    read_mask,
    read_tube,
    unite,
)

any_mask = array_shapes(min_dims=2, max_dims=2, max_side=40).flatmap(lambda s: arrays(bool, s))
HEIGHT, WIDTH = 5, 7


def reference(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {'size': list(rle['size']), 'counts': rle['counts'].decode()}


def runs_of(mask: np.ndarray) -> list[int]:
    flat = mask.T.ravel()
    borders = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff([0, *borders, flat.size]).tolist()


@settings(deadline=None)
@given(any_mask)
def test_encoding_matches_pycocotools(mask):
    expected = reference(mask) if mask.any() else None
    assert encode_masks(mask[None]) == [expected]
    assert encode_masks(np.asfortranarray(mask)[None]) == [expected]
    assert compress(reference(mask), *mask.shape) == reference(mask)
    np.testing.assert_array_equal(decode_mask(reference(mask)), mask)


@settings(deadline=None)
@given(any_mask, st.tuples(*[st.integers(0, 9)] * 4))
def test_crops_are_encoded_as_full_frames(crop, margins):
    top, bottom, left, right = margins
    frame = np.pad(crop, ((top, bottom), (left, right)))
    expected = reference(frame) if crop.any() else None
    for order in 'CF':
        assert encode_crop(np.array(crop, order=order), top, left, frame.shape) == expected


@settings(deadline=None)
@given(any_mask)
def test_all_formats_of_counts_are_equivalent(mask):
    rle = reference(mask)
    for counts in (rle['counts'], rle['counts'].encode(), runs_of(mask)):
        read = read_mask({'size': rle['size'], 'counts': counts}, *mask.shape)
        np.testing.assert_array_equal(np.asarray(read), mask)
        assert as_rle(read) == rle


def test_polygons_match_pycocotools():
    polygons = [[1.0, 1.0, 6.0, 1.0, 6.0, 4.0], [0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0]]
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, HEIGHT, WIDTH)))
    rle = compress(polygons, HEIGHT, WIDTH)
    np.testing.assert_array_equal(decode_mask(rle), expected)


def test_tubes_have_gaps():
    mask = np.eye(HEIGHT, WIDTH, dtype=bool)
    tube = read_tube([None, reference(mask), reference(~mask)], HEIGHT, WIDTH)
    assert tube[0] is None
    assert mask_areas(tube).tolist() == [0, mask.sum(), (~mask).sum()]


@pytest.mark.parametrize(
    'counts',
    [
        *('', 'P', 'S', '!', 'S1S1', 'S1P', 'é1', '\ud800', '0', 'O1', 'SQPPPP4'),
        *(b'', b'\xff', [], [34], [36], [40, -5], [1.5], [True] * 35, [2**70], ['35']),
    ],
)
def test_error_locates_invalid_counts(counts):
    good = {'size': [HEIGHT, WIDTH], 'counts': 'S1'}
    with pytest.raises(RLEError) as caught:
        read_tube([good, None, {**good, 'counts': counts}, good], HEIGHT, WIDTH)
    assert caught.value.position == 2


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_any_text_decodes_or_raises(text):
    """Valid text decodes to the same mask as with pycocotools, which has no checks."""
    rle = {'size': [HEIGHT, WIDTH], 'counts': text}
    try:
        mask = read_mask(rle, HEIGHT, WIDTH)
    except RLEError:
        return
    np.testing.assert_array_equal(np.asarray(mask), coco_mask.decode(rle))


@pytest.mark.parametrize('segmentation', [{'counts': 'S1'}, [[0.0, 0.0, 9.0, 0.0, 9.0, 9.0]]])
def test_absurd_sizes_take_no_memory(segmentation):
    """In this case pycocotools crashes with SIGSEGV."""
    with pytest.raises(RLEError, match=str(MAX_PIXELS)):
        read_mask(segmentation, 10**8, 10**8)


def test_nothing_to_encode():
    assert encode_masks(np.zeros((0, 5, 7), bool)) == []
    assert encode_crop(np.zeros((0, 0), bool), 0, 0, (5, 7)) is None


@settings(deadline=None)
@given(st.lists(arrays(bool, (HEIGHT, WIDTH)), min_size=1, max_size=4))
def test_union_area_and_box(masks):
    rles = [encode_mask(mask) for mask in masks]
    assert rles == [reference(mask) for mask in masks]
    assert unite(rles) == reference(np.any(masks, axis=0))
    for mask, rle in zip(masks, rles, strict=True):
        area, box = measure(rle)
        assert area == mask.sum()
        assert box == coco_mask.toBbox(rle).tolist()
