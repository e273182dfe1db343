"""Runs of masks, against the masks themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from axialvs.evaluation.mask_runs import read_runs
from axialvs.utils.rle import RLEError, areas_of_strings

HEIGHT, WIDTH = 7, 30
many = settings(deadline=None)


def draw_mask(seed: int) -> np.ndarray:
    """(H, W) bool: specks, blocks, nothing or everything."""
    random = np.random.default_rng(seed)
    mask = np.repeat(random.random((HEIGHT, WIDTH // 3)) < random.choice([0, 0.2, 0.5, 1]), 3, 1)
    return mask ^ (random.random(mask.shape) < random.choice([0, 0.05]))


masks = st.integers(0, 2**32 - 1).map(draw_mask)


def encode(mask: np.ndarray) -> str:
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()


def paint(starts: np.ndarray, ends: np.ndarray, offset: int) -> np.ndarray:
    """The mask that runs stand for."""
    flat = np.zeros(HEIGHT * WIDTH, dtype=int)
    for start, end in zip(starts - offset, ends - offset, strict=True):
        assert start < end
        flat[start:end] += 1
    return flat.reshape(WIDTH, HEIGHT).T


@many
@given(st.lists(masks, max_size=5), st.integers(0, 10**12))
def test_runs_paint_the_masks(some, step):
    offsets = np.arange(len(some)) * step
    runs = read_runs([encode(mask) for mask in some], offsets, HEIGHT * WIDTH)
    assert runs.areas.tolist() == [mask.sum() for mask in some]
    for index, mask in enumerate(some):
        part = slice(*runs.borders[index : index + 2])
        painted = paint(runs.starts[part], runs.ends[part], offsets[index])
        np.testing.assert_array_equal(painted, mask)
    assert runs.borders[-1] == len(runs.starts) == len(runs.ends)


def test_large_masks():
    """Runs of several digits and every kind of end."""
    height, width = 1080, 1920
    rows, columns = np.ogrid[:height, :width]
    disc = (rows - 500) ** 2 + (columns - 1000) ** 2 < 400**2
    nothing, everything = np.zeros((height, width)), np.ones((height, width))
    corner = (rows > 1000) & (columns > 1800)
    some = [disc, nothing, everything, corner, ~disc]
    runs = read_runs([encode(m) for m in some], np.zeros(5, dtype=np.int64), height * width)
    assert runs.areas.tolist() == [mask.sum() for mask in some]


alphabet = st.characters(min_codepoint=46, max_codepoint=113) | st.sampled_from('é€\ud800')


@many
@given(st.lists(masks, min_size=1, max_size=3), st.data())
def test_broken_strings_are_refused_with_their_position(some, data):
    """Any change of a string is either still a mask, which both readers agree on, or refused."""
    strings = [encode(mask) for mask in some]
    position = data.draw(st.integers(0, len(strings) - 1))
    string = strings[position]
    cut = data.draw(st.integers(0, len(string)))
    strings[position] = string[:cut] + data.draw(st.text(alphabet, max_size=3)) + string[cut + 1 :]
    offsets = np.zeros(len(strings), dtype=np.int64)
    expected, fault = _areas_or_fault(strings)
    if fault is None:
        runs = read_runs(strings, offsets, HEIGHT * WIDTH)
        np.testing.assert_array_equal(runs.areas, expected)
        return
    with pytest.raises(RLEError) as caught:
        read_runs(strings, offsets, HEIGHT * WIDTH)
    assert caught.value.position == fault == position


def _areas_or_fault(strings: list[str]) -> tuple[np.ndarray | None, int | None]:
    try:
        return areas_of_strings(strings, HEIGHT * WIDTH), None
    except RLEError as error:
        return None, error.position


def test_too_many_digits():
    with pytest.raises(RLEError, match='too many digits') as caught:
        read_runs(['0', 'PPPPPP0'], np.zeros(2, dtype=np.int64), 0)
    assert caught.value.position == 1
