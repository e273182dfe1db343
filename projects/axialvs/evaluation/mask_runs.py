"""Reads many compressed run-length encodings at once into the places of their runs.

Tube intersections are arithmetic on these places, so no mask is ever decoded. The encoding is
described in `axialvs.datasets.rle`, which also words the errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.rle import RLEError, areas_of_strings

_FIRST_CHARACTER = 48
_LAST_CHARACTER = _FIRST_CHARACTER + 0x3F
_FIRST_CONTINUED = _FIRST_CHARACTER + 0x20  # from here on another character of the run follows
_DIGIT_BITS = 5
_MAX_DIGITS = 6  # 2^29 pixels a frame, and int32 holds what is read


def _table_of_last_two() -> NDArray[np.int16]:
    """What a run's last two characters stand for; the index is 256 times the first plus the second.

    Bit 4 of the last digit is the sign. The first of the two counts where it says that another
    character follows, else it belongs to the run before.
    """
    first, last = np.divmod(np.arange(1 << 16), 1 << 8)
    signed = ((last - _FIRST_CHARACTER) ^ 0x10) - 0x10
    joined = (signed << _DIGIT_BITS) | (first - _FIRST_CONTINUED)
    return np.where(first < _FIRST_CONTINUED, signed, joined).astype(np.int16)


_BY_LAST_TWO = _table_of_last_two()


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
        ends[first] += np.diff(shifts, prepend=0)
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

    # Most numbers have one digit or two: a table knows them by their last two characters.
    last_two = np.zeros(len(codes), dtype=np.uint16)
    last_two[1:] = codes[:-1]
    last_two = (last_two << 8) | codes
    stops = np.flatnonzero(codes < _FIRST_CONTINUED)
    values = _BY_LAST_TWO.take(last_two.take(stops)).astype(np.int32)
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
    return values, np.diff(ends, prepend=0)


def _undo_differences(
    pairs: NDArray[np.int32], first: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lengths of background and of object runs, from the stored differences.

    Running sums down each column, which begin anew where a mask does. The very first background
    is no summand of the later ones.

    Args:
        pairs: (R, 2) as stored.
        first: Rows in which the masks begin.
    """
    gaps, runs = pairs[:, 0].copy(), pairs[:, 1].copy()
    if first.size:
        leading = gaps[first]
        gaps[first] = 0
        for column in (gaps, runs):
            sums = np.add.reduceat(column, first)
            column[first[1:]] -= sums[:-1]
            np.cumsum(column, out=column)
        gaps[first] = leading
    return gaps, runs


def _negative(gaps: NDArray[np.int32], runs: NDArray[np.int32]) -> bool:
    return bool(gaps.min() < 0 or runs.min() < 0)


def _raise_error(strings: Sequence[str], num_pixels: int) -> NoReturn:
    """Says which string is wrong and why."""
    areas_of_strings(strings, num_pixels)
    raise AssertionError('two readers of run lengths disagree')
