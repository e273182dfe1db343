"""Several processes on a CPU, by the real launchers: they learn and score what one does alone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from generated_videos import write_videos
from repeatable_run import (
    largest_difference,
    losses_of,
    repeatable_config,
    weights_after,
    write_start,
)

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / 'tools'
ITERATIONS = 3
# Of the largest change of a weight. Sums are taken in another order, and later steps start from it.
TOLERANCE = 1e-4
# Equal numbers of objects: mmdet divides the mask losses of a batch by the batch's number of them.
NUM_OBJECTS = (2, 2)


def start(script: str, *arguments, **variables: str) -> subprocess.Popen:
    environment = os.environ | {'PYTHON': sys.executable} | variables
    environment['PYTHONPATH'] = os.pathsep.join((str(ROOT / 'tests'), environment['PYTHONPATH']))
    command = ['bash', str(TOOLS / script), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def output_of(process: subprocess.Popen) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output[-6000:]
    return output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos') / 'videos'
    return write_videos(folder, [4, 7, 3, 5], num_objects=NUM_OBJECTS)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('runs of')  # a blank, which scripts have to pass on
    write_start(folder)
    return folder


def train_alone(folder: Path, name: str, split: Path, batch_size: int) -> Runner:
    """A run of one process."""
    runner = Runner.from_cfg(repeatable_config(folder, name, split, batch_size, ITERATIONS))
    runner.train()
    return runner


@pytest.fixture(scope='module')
def alone(folder, split) -> Runner:
    """A run of one process with batches of four."""
    return train_alone(folder, 'alone', split, 4)


def assert_learnt_as(expected: str, folder: Path, name: str) -> None:
    """Loss curve and weights of two runs."""
    begin = torch.load(folder / 'start.pth', weights_only=True)['state_dict']
    ours, theirs = (weights_after(folder / run, ITERATIONS) for run in (name, expected))
    assert largest_difference(ours, theirs, begin) <= TOLERANCE
    losses, curve = (losses_of(folder / run, ITERATIONS) for run in (name, expected))
    assert losses == pytest.approx(curve, rel=1e-5)
    assert len(set(curve)) == ITERATIONS


def test_two_processes_learn_what_one_learns(folder, split):
    """Two with a clip each, and one with both."""
    train_alone(folder, 'one', split, 2)
    repeatable_config(folder, 'two', split, 1, ITERATIONS)
    log = output_of(start('dist_train.sh', folder / 'two.py', 2))
    assert_learnt_as('one', folder, 'two')
    assert 'Distributed training: True' in log


def test_two_processes_that_accumulate_learn_what_one_learns(alone, folder, split):
    loop = dict(type='AccumulatingTrainLoop', global_batch_size=4)
    repeatable_config(folder, 'processes', split, 1, ITERATIONS, **loop)
    log = output_of(start('dist_train.sh', folder / 'processes.py', 2))
    assert_learnt_as('alone', folder, 'processes')
    assert 'Distributed training: True' in log
    for line in ('2 processes x 2 batches x 1 clips = 4 clips', f'Iter(train) [{ITERATIONS}/'):
        assert log.count(line) == 1
    assert 'NUM_THREADS environment variable' not in log


def test_two_machines_learn_what_one_learns(alone, folder, split):
    """Both on the loopback device, with a process each."""
    repeatable_config(folder, 'machines', split, 2, ITERATIONS)
    meeting = dict(NNODES='2', MASTER_ADDR='127.0.0.1', PORT=str(free_port()))
    machines = [
        start('dist_train.sh', folder / 'machines.py', 1, **meeting, NODE_RANK=rank)
        for rank in '01'
    ]
    logs = [output_of(machine) for machine in machines]
    assert_learnt_as('alone', folder, 'machines')
    assert f'Iter(train) [{ITERATIONS}/' in logs[0]
    assert 'Iter(train)' not in logs[1]


def test_two_processes_score_what_one_scores(alone, folder, split, tmp_path):
    repeatable_config(folder, 'scores', split, 1, ITERATIONS)
    begin = folder / 'start.pth'
    alone.model.load_state_dict(torch.load(begin, weights_only=True)['state_dict'])
    expected = alone.test()
    out = tmp_path / 'metrics.json'
    output_of(start('dist_test.sh', folder / 'scores.py', begin, 2, '--out', out))
    assert json.loads(out.read_text()) == expected
    ours, theirs = (
        json.loads((folder / run / 'results.json').read_text()) for run in ('scores', 'alone')
    )
    assert {entry['video_id'] for entry in ours} == {1, 2, 3, 4}
    assert any(any(entry['segmentations']) for entry in ours)
    assert ours == theirs
