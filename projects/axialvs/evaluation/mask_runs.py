"""Reads many compressed run-length encodings at once into the places of their runs.

Tube intersections are arithmetic on these places, so no mask is ever decoded. The encoding is
described in `axialvs.utils.rle`, which also words the errors.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from axialvs.utils.rle import RLEError, areas_of_strings

_FIRST_CHARACTER = 48
_LAST_CHARACTER = _FIRST_CHARACTER + 0x3F
_FIRST_CONTINUED = _FIRST_CHARACTER + 0x20  # from here on another character of the run follows
_DIGIT_BITS = 5
_DIGIT_MASK = np.uint8(0x1F)
_SIGN = np.uint8(0x10)
_MAX_DIGITS = 6  # 2^29 pixels a frame, and int32 holds what is read
_HALF = 32  # bits
_UPPER = int(sys.byteorder == 'little')  # which 32 bits of 64 come second in memory


@dataclass(frozen=True, slots=True)
class MaskRuns:
    """The object's runs of N masks, R in all, in the order of the masks.

    Attributes:
        starts: (R,) first position of each run, counted down the columns; each mask has an offset
            of its own.
        ends: (R,) position after the last of each run.
        borders: (N + 1,) where in `starts` each mask begins; the last entry is R.
        areas: (N,) pixels of each mask.
    """

    starts: NDArray[np.integer]
    ends: NDArray[np.integer]
    borders: NDArray[np.int64]
    areas: NDArray[np.int64]


def read_runs(strings: Sequence[str], offsets: NDArray[np.integer], num_pixels: int) -> MaskRuns:
    """Reads COCO's compressed `counts` of N masks of the same size.

    Args:
        strings: The `counts`, one a mask.
        offsets: (N,) added to all positions of a mask; their type, int32 or int64, holds all
            positions.
        num_pixels: Height times width that the runs have to fill.

    Raises:
        RLEError: A string stands for no mask of this size.
    """
    values, num_runs = _read_values(strings, num_pixels)
    # An encoding begins with background. One that also ends with it has an odd number of runs;
    # without that last run there are pairs (background, object), in the same columns for all.
    has_tail = num_runs % 2 == 1
    tail_places = np.cumsum(num_runs)[has_tail] - 1
    tails = values[tail_places]
    kept = np.ones(len(values), dtype=bool)
    kept[tail_places] = False
    pairs = values[kept].reshape(-1, 2)

    borders = np.concatenate(([0], np.cumsum(num_runs // 2)))
    filled = np.diff(borders) > 0
    first = borders[:-1][filled]  # where the masks that have an object begin
    gaps, runs = _undo_differences(pairs, first)
    areas = np.zeros(len(strings), dtype=np.int64)
    spans = np.zeros(len(strings), dtype=np.int64)  # up to the end of the last run
    if first.size:
        areas[filled] = np.add.reduceat(runs, first, dtype=np.int64)
        spans[filled] = areas[filled] + np.add.reduceat(gaps, first, dtype=np.int64)
    # The last background is stored as the difference to the one before, if it is run 3 or later.
    totals = spans.copy()
    totals[has_tail] += tails
    differs = num_runs[has_tail] > 3
    totals[np.flatnonzero(has_tail)[differs]] += gaps[borders[1:][has_tail][differs] - 1]
    last_run_negative = (totals < spans).any()
    if (totals != num_pixels).any() or last_run_negative or (pairs.size and _negative(gaps, runs)):
        _raise_error(strings, num_pixels)

    ends = (gaps + runs).astype(offsets.dtype, copy=False)
    if first.size:
        shifts = offsets[filled]
        ends[first] += _differences(shifts)
        ends[first[1:]] -= spans[filled][:-1]
        np.cumsum(ends, out=ends)
    return MaskRuns(ends - runs, ends, borders, areas)


def _read_values(
    strings: Sequence[str], num_pixels: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The numbers in all strings as they stand there, and how many each string has."""
    lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    text = ''.join(strings).encode('utf-8', 'surrogatepass')  # foreign characters leave the range
    codes = np.frombuffer(text, dtype=np.uint8)
    if not codes.size and not len(strings):
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    string_ends = np.cumsum(lengths)
    if (
        not lengths.all()
        or codes.min() < _FIRST_CHARACTER
        or codes.max() > _LAST_CHARACTER
        or codes[string_ends - 1].max() >= _FIRST_CONTINUED
    ):
        _raise_error(strings, num_pixels)

    stops = np.flatnonzero(codes < _FIRST_CONTINUED)
    values = _last_two_digits(codes).take(stops).astype(np.int32)
    ends = np.searchsorted(stops, string_ends)
    # Digits of longer ones go below these, the highest first.
    continued = codes >= _FIRST_CONTINUED
    places = np.flatnonzero(continued[1:] & continued[:-1])
    owners = np.searchsorted(stops, places)
    steps = stops[owners] - places
    for step in range(2, _MAX_DIGITS):
        chosen = steps == step
        digits = codes[places[chosen]].astype(np.int32) - _FIRST_CONTINUED
        values[owners[chosen]] = (values[owners[chosen]] << _DIGIT_BITS) | digits
    if steps.max(initial=0) >= _MAX_DIGITS:
        position = int(np.searchsorted(ends, owners[steps.argmax()], side='right'))
        raise RLEError(position, 'a run has too many digits')
    return values, _differences(ends)


def _last_two_digits(codes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """What each character stands for as the last one of a number, with the digit before it.

    Most numbers have no more digits than two. Bit 4 of the last one is the sign.
    """
    digits = codes - np.uint8(_FIRST_CHARACTER)
    continued = (digits > _DIGIT_MASK).view(np.uint8)  # whether another character follows
    digits &= _DIGIT_MASK
    values = ((digits ^ _SIGN).view(np.int8) - np.int8(_SIGN)).astype(np.int16)
    digits *= continued
    continued *= _DIGIT_MASK
    continued += 1  # 1, or 32 to make room for the digit before
    values[1:] *= continued[:-1].astype(np.int16)
    values[1:] += digits[:-1].astype(np.int16)
    return values


def _undo_differences(
    pairs: NDArray[np.int32], first: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lengths of background and of object runs, from the stored differences.

    Running sums down each column, which begin anew where a mask does. The very first background
    is no summand of the later ones. Both columns are summed in one go, one in the upper half of
    a number and one in the lower.

    Args:
        pairs: (R, 2) as stored.
        first: Rows in which the masks begin.
    """
    leading = pairs[first, 0]
    pairs[first, 0] = 0
    sums = pairs[:, 1].astype(np.int64)
    sums <<= _HALF
    sums += pairs[:, 0]
    if first.size:
        sums[first[1:]] -= np.add.reduceat(sums, first)[:-1]
        np.cumsum(sums, out=sums)
    gaps = sums.astype(np.int32)  # the lower half
    sums -= gaps
    runs = sums.view(np.int32).reshape(-1, 2)[:, _UPPER].copy()
    gaps[first] = leading
    return gaps, runs


def _differences(numbers: NDArray[np.integer]) -> NDArray[np.integer]:
    """Each number less the one before it; the first one as it is."""
    found = numbers.copy()
    found[1:] -= numbers[:-1]
    return found


def _negative(gaps: NDArray[np.int32], runs: NDArray[np.int32]) -> bool:
    return bool(gaps.min() < 0 or runs.min() < 0)


def _raise_error(strings: Sequence[str], num_pixels: int) -> NoReturn:
    """Says which string is wrong and why."""
    areas_of_strings(strings, num_pixels)
    raise AssertionError('two readers of run lengths disagree')
