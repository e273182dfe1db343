"""Reading in the background returns the same items as direct reading."""

import ctypes
import threading
from pathlib import Path

import pytest
import torch

from axialvs.inference.read_ahead import read_ahead


@pytest.fixture
def threads_reading():
    """Return the number of reader threads of this test."""
    before = set(threading.enumerate())
    return lambda: sum(
        thread.name == 'read-ahead' for thread in set(threading.enumerate()) - before
    )


@pytest.mark.parametrize('depth', [1, 3])
def test_same_items_in_order(depth, threads_reading):
    assert list(read_ahead(iter(range(20)), depth)) == list(range(20))
    assert list(read_ahead(iter([None, None]), depth)) == [None, None]
    assert list(read_ahead(iter([]), depth)) == []
    assert threads_reading() == 0


def test_error_is_raised_after_preceding_items(threads_reading):
    def breaks():
        yield 1
        yield 2
        raise OSError('cut off')

    ahead = read_ahead(breaks())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match='cut off'):
        next(ahead)
    assert threads_reading() == 0


def test_queue_is_bounded_and_closing_stops_reading(threads_reading):
    made = []
    closed = []
    enough = threading.Event()

    def endless():
        try:
            while True:
                made.append(len(made))
                if len(made) == 4:
                    enough.set()
                yield made[-1]
        finally:
            closed.append(True)

    ahead = read_ahead(endless(), depth=2)
    assert next(ahead) == 0
    assert enough.wait(5)  # one taken, two queued, one being produced
    assert made == [0, 1, 2, 3]
    ahead.close()
    assert closed == [True]
    assert threads_reading() == 0
    assert made == [0, 1, 2, 3]


def test_kernels_use_the_number_of_threads_of_torch():
    """This includes oneDNN, which asks OpenMP and not torch."""
    maps = Path('/proc/self/maps')
    lines = maps.read_text().splitlines() if maps.exists() else []
    paths = [x.split()[-1] for x in lines if 'libgomp' in x or 'libiomp' in x]
    if not paths:
        pytest.skip('torch runs without OpenMP here')
    openmp = ctypes.CDLL(paths[0])
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    try:
        (number,) = read_ahead(openmp.omp_get_max_threads() for _ in range(1))
    finally:
        torch.set_num_threads(before)
    assert number == before + 2
