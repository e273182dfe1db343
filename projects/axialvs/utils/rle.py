"""Checks run-length encoded masks and measures their areas, many at once, without decoding them.

COCO's compressed string writes each run as digits of five bits, the lowest first, in characters
from '0' (48) on. Bit 5 of a character says that another follows, bit 4 of the last one is the
sign, and from the fourth run on the value is the difference to the run two before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from axialvs.utils.errors import AxialVSError

_FIRST_CHARACTER = 48
_DIGIT_BITS = 5
_DIGIT_MASK = 0x1F
_SIGN_BIT = 0x10
_MAX_DIGIT = 0x3F
_LAST_DIGIT = 0x1F  # up to here bit 5 is not set: the run ends
_MAX_CHARACTERS_PER_RUN = 7  # 35 bits: more than any image has pixels
_FOREIGN = 'the compressed string has a character that none may have'


class RLEError(AxialVSError):
    """A run-length encoding that stands for no mask.

    Attributes:
        position: Index of the faulty one in the sequence that was given.
        reason: What is wrong with it.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


def areas_of_counts(counts: Sequence[Sequence[int]], num_pixels: int) -> NDArray[np.int64]:
    """Checks uncompressed runs and returns the masks' areas.

    Args:
        counts: Run lengths of each mask, background first.
        num_pixels: Height times width that the runs have to fill.

    Returns:
        Areas in pixels, one a mask.

    Raises:
        RLEError: Runs are no integers, negative, or do not fill the image.
    """
    areas = np.zeros(len(counts), dtype=np.int64)
    for position, runs in enumerate(counts):
        if set(map(type, runs)) - {int}:
            raise RLEError(position, 'runs are not all integers')
        if runs and min(runs) < 0:
            raise RLEError(position, f'a run is negative ({min(runs)})')
        _check_filled(position, sum(runs), num_pixels)
        areas[position] = sum(runs[1::2])
    return areas


def areas_of_strings(strings: Sequence[str], num_pixels: int) -> NDArray[np.int64]:
    """Checks compressed run strings and returns the masks' areas.

    All strings are read in one pass of array operations: a whole data set takes seconds.

    Args:
        strings: COCO's compressed `counts`, one a mask.
        num_pixels: Height times width that the runs have to fill.

    Returns:
        Areas in pixels, one a mask.

    Raises:
        RLEError: A string is empty, breaks off, has a foreign character, a negative run or runs
            that do not fill the image.
    """
    if not strings:
        return np.zeros(0, dtype=np.int64)
    digits, string_ends = _read_digits(strings)
    run_ends = np.flatnonzero(digits <= _LAST_DIGIT)
    run_starts = np.concatenate(([0], run_ends[:-1] + 1))
    first_runs = np.searchsorted(run_starts, np.concatenate(([0], string_ends[:-1])))
    values = _read_values(digits, run_starts, run_ends, first_runs)
    runs, is_foreground = _undo_differences(values, first_runs)

    negative = np.flatnonzero(np.minimum.reduceat(runs, first_runs) < 0)
    if negative.size:
        raise RLEError(int(negative[0]), 'a run is negative')
    totals = np.add.reduceat(runs, first_runs)
    wrong = np.flatnonzero(totals != num_pixels)
    if wrong.size:
        _check_filled(int(wrong[0]), int(totals[wrong[0]]), num_pixels)
    return np.add.reduceat(np.where(is_foreground, runs, 0), first_runs)


def _read_digits(strings: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All strings' characters as digits 0 to 63, and where each string ends in them."""
    try:
        codes = np.frombuffer(''.join(strings).encode('ascii'), dtype=np.uint8)
    except UnicodeEncodeError:
        position = next(p for p, string in enumerate(strings) if not string.isascii())
        raise RLEError(position, _FOREIGN) from None
    lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    ends = np.cumsum(lengths)
    digits = codes - np.uint8(_FIRST_CHARACTER)  # characters below the first wrap round to above
    for position in np.flatnonzero(lengths == 0):
        raise RLEError(int(position), 'the compressed string is empty')
    foreign = np.flatnonzero(digits > _MAX_DIGIT)
    if foreign.size:
        raise RLEError(int(np.searchsorted(ends, foreign[0], side='right')), _FOREIGN)
    broken = np.flatnonzero(digits[ends - 1] > _LAST_DIGIT)
    if broken.size:
        raise RLEError(int(broken[0]), 'the compressed string breaks off in the middle of a run')
    return digits, ends


def _read_values(
    digits: NDArray[np.uint8],
    run_starts: NDArray[np.int64],
    run_ends: NDArray[np.int64],
    first_runs: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Joins the digits of each run to one signed number."""
    sizes = run_ends - run_starts + 1
    if sizes.max() > _MAX_CHARACTERS_PER_RUN:
        position = int(np.searchsorted(first_runs, np.argmax(sizes), side='right')) - 1
        raise RLEError(position, 'a run has too many digits')
    values = (digits[run_starts] & _DIGIT_MASK).astype(np.int64)
    for place in range(1, int(sizes.max())):
        longer = np.flatnonzero(sizes > place)
        digit = (digits[run_starts[longer] + place] & _DIGIT_MASK).astype(np.int64)
        values[longer] |= digit << (_DIGIT_BITS * place)
    negative = np.flatnonzero(digits[run_ends] & _SIGN_BIT)
    values[negative] -= np.int64(1) << (_DIGIT_BITS * sizes[negative])
    return values


def _undo_differences(
    values: NDArray[np.int64], first_runs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Run lengths from stored values, and whether each run is of the mask or of its background.

    The first three runs stand as they are, each later one as the difference to the run two
    before: running sums over the odd runs and over the even runs but the very first.
    """
    num_runs = np.diff(np.concatenate((first_runs, [len(values)])))
    is_odd = (np.arange(len(values)) - np.repeat(first_runs, num_runs)) % 2 == 1
    is_later_even = ~is_odd
    is_later_even[first_runs] = False
    runs = values.copy()
    for chosen in (is_odd, is_later_even):
        sums = np.cumsum(np.where(chosen, values, 0))
        # No mask's first run is chosen, so the sum there is that of the masks before.
        runs = np.where(chosen, sums - np.repeat(sums[first_runs], num_runs), runs)
    return runs, is_odd


def _check_filled(position: int, total: int, num_pixels: int) -> None:
    if total != num_pixels:
        raise RLEError(position, f'the runs cover {total} pixels where the frame has {num_pixels}')
