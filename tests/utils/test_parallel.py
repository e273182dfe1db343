"""A map in forked processes has the results and errors of a serial one."""

import multiprocessing
import os
import signal

import pytest

from axialvs.utils.errors import AxialVSError
from axialvs.utils.parallel import fork_map


@pytest.fixture(autouse=True)
def _no_process_is_left():
    before = multiprocessing.active_children()  # such as loader workers of earlier tests
    yield
    assert [x for x in multiprocessing.active_children() if x not in before] == []


@pytest.mark.parametrize('workers', [0, 1, 3])
@pytest.mark.parametrize('number', [0, 1, 7])
def test_same_values_in_the_same_order(workers, number):
    offset = 10  # inherited by the processes
    items = range(number)
    assert list(fork_map(lambda x: x + offset, items, workers)) == [x + offset for x in items]


def test_workers_are_separate_processes():
    assert os.getpid() not in fork_map(lambda _: os.getpid(), range(4), 2)


class ItemError(AxialVSError):
    """An error with a message."""


@pytest.mark.parametrize('workers', [1, 2])
def test_errors_are_raised_in_the_parent(workers):
    def fail(item):
        if item == 3:
            raise ItemError(f'item {item} is wrong')
        return item

    with pytest.raises(ItemError, match='item 3'):
        list(fork_map(fail, range(5), workers))


def test_killed_process_raises():
    def die(item):
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(AxialVSError):
        list(fork_map(die, range(4), 2))
