"""A map in forked processes gives what a plain one gives, errors too, and leaves none behind."""

import multiprocessing
import os
import signal
import time

import pytest

from axialvs.evaluation.forked_map import forked_map
from axialvs.utils.errors import AxialVSError

LONG = 60  # seconds; a test that waits so long has failed


@pytest.fixture(autouse=True)
def _no_process_is_left():
    yield
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize('workers', [0, 1, 2, 3, 50])
@pytest.mark.parametrize('number', [0, 1, 7])
def test_same_values_in_the_same_order(workers, number):
    offset = 10  # seen by the children without being sent
    items = list(range(number))
    assert list(forked_map(lambda x: x + offset, items, workers)) == [x + offset for x in items]


def test_each_worker_is_another_process():
    pids = list(forked_map(lambda _: os.getpid(), range(6), 3))
    assert len(set(pids)) == 3
    assert os.getpid() not in pids


def test_values_that_fill_a_pipe():
    values = list(forked_map(lambda x: bytes([x]) * 1_000_000, range(7), 3))
    assert [(value[0], len(value)) for value in values] == [(x, 1_000_000) for x in range(7)]


@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize('faulty', [0, 3])
def test_errors_are_raised_here(faulty, workers):
    class PickyError(ValueError):
        """It could not be sent."""

    def fail(item):
        if item == faulty:
            raise PickyError(f'item {item} is wrong')
        return item

    seen = []
    with pytest.raises(PickyError, match=f'item {faulty} is wrong') as caught:
        seen.extend(forked_map(fail, range(4), workers))
    assert caught.traceback[-1].name == 'fail'


def test_an_error_that_does_not_come_again():
    parent = os.getpid()

    def fail_in_children(item):
        if item == 1 and os.getpid() != parent:
            raise MemoryError
        return item

    assert list(forked_map(fail_in_children, range(6), 2)) == list(range(6))


def test_a_killed_process_is_said():
    def die(item):
        if item == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(AxialVSError, match=r'at work on video 4 of 5 died.*Fewer workers'):
        list(forked_map(die, range(5), 2))


@pytest.fixture
def _ctrl_c_interrupts():
    """Also where the tests run in the background, which may ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('_ctrl_c_interrupts')
def test_interrupted(capfd):
    """Ctrl-C goes to all processes; the calling one is interrupted and the others say nothing."""
    parent = os.getpid()

    def press_keys(item):
        os.kill(os.getpid(), signal.SIGINT)
        if item == 1:
            os.kill(parent, signal.SIGINT)
        time.sleep(LONG)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(forked_map(press_keys, range(2), 2))
    assert time.monotonic() - started < LONG
    assert capfd.readouterr().err == ''


def test_an_iterator_that_is_left():
    values = forked_map(lambda item: item and time.sleep(LONG), range(4), 2)
    assert next(values) == 0
    values.close()


def test_inside_a_daemonic_process():
    """As in a data loader's worker, which may have no children."""
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def work():
        sender.send(list(forked_map(lambda x: -x, range(3), 2)))

    process = context.Process(target=work, daemon=True)
    process.start()
    sender.close()
    assert receiver.recv() == [0, -1, -2]
    process.join()
