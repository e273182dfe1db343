"""Tests of the check of run-length encodings against pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as mask_utils

from axialvs.utils.rle import RLEError, areas_of_counts, areas_of_strings

SHAPE = (13, 17)
PIXELS = SHAPE[0] * SHAPE[1]
MASKS = st.lists(arrays(bool, SHAPE, elements=st.booleans()), max_size=6)


def encode(mask: np.ndarray) -> str:
    return mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()


@given(MASKS)
def test_areas_of_any_masks(masks):
    areas = areas_of_strings([encode(mask) for mask in masks], PIXELS)
    assert areas.tolist() == [int(mask.sum()) for mask in masks]


@pytest.mark.parametrize('fill', [False, True])
def test_large_single_run(fill):
    mask = np.full((1080, 1920), fill)
    assert areas_of_strings([encode(mask)] * 2, mask.size).tolist() == [int(mask.sum())] * 2


RUNS = st.lists(st.integers(-3, 60), max_size=9)


@given(st.one_of(RUNS, RUNS.map(lambda runs: [*runs, PIXELS - sum(runs)])))
def test_strings_and_lists_are_judged_alike(runs):
    """Whatever the runs are, both forms give the same area or the same reason."""
    outcomes = []
    for areas_of, counts in ((areas_of_counts, runs), (areas_of_strings, to_string(runs))):
        try:
            outcomes.append(areas_of([counts], PIXELS).tolist())
        except RLEError as error:
            outcomes.append(error.reason.split('(')[0].strip())
    if runs:
        assert outcomes[0] == outcomes[1]
    else:
        assert 'cover 0 pixels' in outcomes[0]
        assert 'empty' in outcomes[1]


def to_string(runs: list[int]) -> str:
    """COCO's compressed form, written after its description, run by run."""
    text = ''
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            digit, value = value & 0x1F, value >> 5
            more = value != (-1 if digit & 0x10 else 0)
            text += chr(48 + (digit | (0x20 if more else 0)))
            if not more:
                break
    return text


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'empty'),
        ('Z', 'breaks off'),
        ('4 6', 'character'),
        ('4\u00e9', 'character'),
        ('ooooooooo0', 'too many digits'),
        ('4N', 'negative'),
        ('44', 'cover 8 pixels where the frame has 221'),
    ],
)
def test_broken_string_is_named(text, reason):
    good = encode(np.eye(*SHAPE, dtype=bool))
    with pytest.raises(RLEError, match=reason) as caught:
        areas_of_strings([good, text, good], PIXELS)
    assert caught.value.position == 1
