"""Training and testing with several processes on a CPU match a single process."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner

from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.engine.launch import build_runner
from forked import run_tool_in_ranks
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
# Relative to the largest change of a weight. The order of sums differs, which affects later steps.
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


def output_of_ranks(tool: str, *arguments: object) -> str:
    """Return the output of a tool run in two forked processes."""
    ended = run_tool_in_ranks(tool, *arguments)
    assert [process.code for process in ended] == [0, 0], ended[0].output[-6000:]
    return ''.join(process.output for process in ended)


def log_of(folder: Path, name: str) -> str:
    """Return the log file of a run, which has more than the console."""
    (file,) = (folder / name).glob('*/*.log')
    return file.read_text()


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
    folder = tmp_path_factory.mktemp('runs of')  # a space, which scripts must preserve
    write_start(folder)
    return folder


def train_alone(folder: Path, name: str, split: Path, batch_size: int) -> Runner:
    """Train in one process."""
    runner = Runner.from_cfg(repeatable_config(folder, name, split, batch_size, ITERATIONS))
    runner.train()
    return runner


@pytest.fixture(scope='module')
def alone(folder, split) -> Runner:
    """Return a run of one process with batches of four."""
    return train_alone(folder, 'alone', split, 4)


def assert_learned_as(expected: str, folder: Path, name: str) -> None:
    """Compare the loss curves and weights of two runs."""
    begin = torch.load(folder / 'start.pth', weights_only=True)['state_dict']
    ours, theirs = (weights_after(folder / run, ITERATIONS) for run in (name, expected))
    assert largest_difference(ours, theirs, begin) <= TOLERANCE
    losses, curve = (losses_of(folder / run, ITERATIONS) for run in (name, expected))
    assert losses == pytest.approx(curve, rel=1e-5)
    assert len(set(curve)) == ITERATIONS


@pytest.fixture(scope='module')
def machines(folder, split) -> list[str]:
    """Return the output of two machines on the loopback device, with one clip each."""
    repeatable_config(folder, 'machines', split, 1, ITERATIONS)
    meeting = dict(NNODES='2', MASTER_ADDR='127.0.0.1', PORT=str(free_port()))
    machines = [
        start('dist_train.sh', folder / 'machines.py', 1, **meeting, NODE_RANK=rank)
        for rank in '01'
    ]
    return [output_of(machine) for machine in machines]


def test_training_on_two_processes_matches_one_process(machines, folder, split):
    """Two processes have a clip each, the single one a batch of both."""
    train_alone(folder, 'one', split, 2)
    assert_learned_as('one', folder, 'machines')


def test_first_machine_writes_the_log(machines, folder):
    assert f'Finished {ITERATIONS} iterations' in machines[0]
    assert 'Iter(train)' not in machines[1]
    assert 'NUM_THREADS environment variable' not in machines[0]
    assert log_of(folder, 'machines').count(f'Iter(train) [{ITERATIONS}/') == 1


def test_accumulation_on_two_processes_matches_one_process(alone, folder, split):
    loop = dict(type='AccumulatingTrainLoop', global_batch_size=4)
    repeatable_config(folder, 'processes', split, 1, ITERATIONS, **loop)
    log = output_of_ranks('train.py', folder / 'processes.py')
    assert_learned_as('alone', folder, 'processes')
    for line in (
        '2 processes x 2 batches x 1 clips = 4 clips',
        f'Finished {ITERATIONS} iterations',
    ):
        assert log.count(line) == 1
    saved = log_of(folder, 'processes')
    assert 'Distributed training: True' in saved
    assert saved.count(f'Iter(train) [{ITERATIONS}/') == 1


def momentum_config(folder: Path, name: str, split: Path, batch_size: int) -> Config:
    """Return a run with optimizer state that keeps all checkpoints."""
    config = repeatable_config(folder, name, split, batch_size, ITERATIONS)
    config.optim_wrapper.optimizer.momentum = 0.9
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    config.dump(folder / f'{name}.py')
    return config


def test_sharded_resuming_matches_one_process(folder, split):
    """They resume from a checkpoint of one process and save equally complete ones."""
    Runner.from_cfg(momentum_config(folder, 'whole', split, 2)).train()
    momentum_config(folder, 'sharded', split, 1)
    first = folder / 'whole' / 'iter_1.pth'
    log = output_of_ranks('train.py', folder / 'sharded.py', '--fsdp', '--resume', first)
    kept, number = re.search(r'2 processes keeps about ([\d.]+) of ([\d.]+) million', log).groups()
    assert float(kept) < 0.6 * float(number)
    assert 'resumed epoch: 0, iter: 1' in log_of(folder, 'sharded')
    assert_learned_as('whole', folder, 'sharded')
    ours, theirs = (
        load_checkpoint_safely(folder / run / f'iter_{ITERATIONS}.pth')
        for run in ('sharded', 'whole')
    )
    assert ours['optimizer']['param_groups'] == theirs['optimizer']['param_groups']
    a, b = (x['optimizer']['state'] for x in (ours, theirs))
    largest = max(x['momentum_buffer'].abs().max() for x in b.values())
    torch.testing.assert_close(a, b, rtol=0, atol=float(largest) * TOLERANCE)
    # Clipped by the norm of all gradients, not of one process's shard.
    norms, expected = (
        x['message_hub']['log_scalars']['train/grad_norm'].data[0] for x in (ours, theirs)
    )
    assert list(norms) == pytest.approx(list(expected), rel=1e-4)
    assert min(expected) > 1.0


def test_sharding_needs_several_processes(folder, split):
    config = repeatable_config(folder, 'single', split, 2, ITERATIONS)
    config.runner_type = 'ShardedRunner'
    with pytest.raises(ValueError, match=r'only one; use tools/dist_train\.sh'):
        build_runner(config)


def test_scores_on_two_processes_match_one_process(alone, folder, split, tmp_path):
    repeatable_config(folder, 'scores', split, 1, ITERATIONS)
    begin = folder / 'start.pth'
    alone.model.load_state_dict(torch.load(begin, weights_only=True)['state_dict'])
    expected = alone.test()
    out = tmp_path / 'metrics.json'
    output_of_ranks('test.py', folder / 'scores.py', begin, '--out', out)
    assert json.loads(out.read_text()) == expected
    ours, theirs = (
        json.loads((folder / run / 'results.json').read_text()) for run in ('scores', 'alone')
    )
    assert {entry['video_id'] for entry in ours} == {1, 2, 3, 4}
    assert any(any(entry['segmentations']) for entry in ours)
    assert ours == theirs
