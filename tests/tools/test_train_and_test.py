"""Tests of train.py, test.py and their launchers with a tiny model: options, errors, processes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints import load_checkpoint_safely

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'
TINY_RUN = ROOT / 'tests' / 'engine'
sys.path.insert(0, str(TINY_RUN))

from tiny_run import write_config  # noqa: E402


def run(command: list, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """Runs a command in a folder where the tiny run's parts can be imported."""
    environment = os.environ | {'PYTHON': sys.executable} | variables
    environment['PYTHONPATH'] = os.pathsep.join((str(TINY_RUN), environment['PYTHONPATH']))
    return subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True
    )


def train(folder: Path, *options, **variables) -> subprocess.CompletedProcess:
    return run([sys.executable, TOOLS / 'train.py', *options], folder, **variables)


def check(folder: Path, *options, **variables) -> subprocess.CompletedProcess:
    return run([sys.executable, TOOLS / 'test.py', *options], folder, **variables)


def error_of(result: subprocess.CompletedProcess) -> str:
    """The one line that a user error ends with."""
    assert result.returncode == 1, result.stderr
    assert 'Traceback' not in result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """A folder with a config and a run of six iterations, with the options that matter to it."""
    folder = tmp_path_factory.mktemp('trained')
    write_config(folder)
    options = ['--seed', '5', '--auto-scale-lr', '--cfg-options', 'log_level=INFO']
    result = train(folder, 'tiny.py', *options)
    assert result.returncode == 0, result.stderr
    return folder


def test_options_reach_the_run(trained):
    work_dir = trained / 'work_dirs' / 'tiny'
    assert (work_dir / 'last_checkpoint').read_text().endswith('iter_6.pth')
    checkpoint = load_checkpoint_safely(work_dir / 'iter_6.pth')
    assert checkpoint['meta']['seed'] == 5
    # A batch of two where the config was made for four.
    assert checkpoint['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.005)


def test_finished_run_resumes_from_its_last_checkpoint(trained, tmp_path):
    folder = tmp_path / 'moved'
    shutil.copytree(trained, folder)
    options = ['--resume', '--cfg-options', 'train_cfg.max_iters=8', 'log_level=INFO']
    result = train(folder, 'tiny.py', *options)
    assert result.returncode == 0, result.stderr
    log = result.stdout + result.stderr
    assert 'resumed epoch: 0, iter: 6' in log
    assert re.search(r'Iter\(train\) \[7/8\]', log)
    assert not re.search(r'Iter\(train\) \[6/8\]', log)


def test_scores_are_written(trained, tmp_path):
    weights = load_checkpoint_safely(trained / 'work_dirs' / 'tiny' / 'iter_6.pth')['state_dict']
    torch.save({'state_dict': weights}, tmp_path / 'weights.pth')
    out = tmp_path / 'new' / 'metrics.json'
    result = check(trained, 'tiny.py', tmp_path / 'weights.pth', '--out', out)
    assert result.returncode == 0, result.stderr
    assert json.loads(out.read_text()) == {
        'tiny/sum': pytest.approx(weights['weight'].sum().item()),
        'tiny/samples': 16,
    }


def test_launchers_train_and_test_on_two_processes(tmp_path):
    """dist_train.sh and dist_test.sh on a CPU: arguments with blanks arrive, scores agree."""
    folder = tmp_path / 'with blank'
    folder.mkdir()
    write_config(folder)
    options = ['--seed', '5', '--cfg-options', 'train_cfg.max_iters=2']
    result = run(['bash', TOOLS / 'dist_train.sh', folder / 'tiny.py', 2, *options], tmp_path)
    assert result.returncode == 0, result.stderr
    checkpoint = tmp_path / 'work_dirs' / 'tiny' / 'iter_2.pth'
    weights = load_checkpoint_safely(checkpoint)['state_dict']
    out = folder / 'metrics.json'
    command = ['bash', TOOLS / 'dist_test.sh', folder / 'tiny.py', checkpoint, 2, '--out', out]
    result = run(command, tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(out.read_text()) == {
        'tiny/sum': pytest.approx(weights['weight'].sum().item()),
        'tiny/samples': 16,
    }


def test_user_errors_are_one_line(trained, tmp_path):
    """All in one test, since every command takes seconds to import what it needs."""
    config = trained / 'tiny.py'
    cases = [
        (train(tmp_path, 'none.py'), 'config none.py does not exist'),
        (train(tmp_path, config, '--resume', 'none.pth'), '--resume none.pth: there is no such'),
        (train(tmp_path, config, '--launcher', 'pytorch'), 'use tools/dist_train.sh'),
        (check(tmp_path, config, 'none.pth'), 'none.pth is neither a file nor a known name'),
    ]
    if not torch.cuda.is_available():
        cases.append((train(tmp_path, config, '--amp'), '--amp needs a GPU'))
    for result, expected in cases:
        assert expected in error_of(result)


def test_checkpoint_of_another_model_is_not_scored(trained, tmp_path):
    torch.save({'state_dict': {'other': torch.ones(1)}}, tmp_path / 'x.pth')
    error = error_of(check(tmp_path, trained / 'tiny.py', tmp_path / 'x.pth'))
    assert 'x.pth does not fit the model' in error
    assert 'missing in it: weight; not in the model: other' in error


def fake(name: str, folder: Path) -> None:
    """A command that prints its arguments, one a line."""
    path = folder / name
    path.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)


@pytest.mark.parametrize(
    ('script', 'arguments', 'expected'),
    [
        (
            'slurm_train.sh',
            ['part', 'job', 'c.py', 'my dir', '--seed', '1'],
            ['train.py', 'c.py', '--work-dir', 'my dir', '--seed', '1', '--launcher', 'slurm'],
        ),
        (
            'slurm_test.sh',
            ['part', 'job', 'c.py', 'w.pth', '--out', 'm.json'],
            ['test.py', 'c.py', 'w.pth', '--out', 'm.json', '--launcher', 'slurm'],
        ),
    ],
)
def test_slurm_scripts_hand_everything_to_srun(tmp_path, script, arguments, expected):
    fake('srun', tmp_path)
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    command = ['bash', TOOLS / script, *arguments]
    result = run(command, tmp_path, PATH=path, GPUS='4', SRUN_ARGS='--qos high --time 10')
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[lines.index('--partition') + 1] == 'part'
    assert lines[lines.index('--job-name') + 1] == 'job'
    assert lines[lines.index('--ntasks') + 1] == '4'
    assert lines[lines.index('--gres') + 1] == 'gpu:4'
    assert lines[lines.index('--qos') + 1] == 'high'
    tail = lines[-len(expected) :]
    assert [Path(tail[0]).name, *tail[1:]] == expected


def test_several_machines_meet_at_the_given_address(tmp_path):
    fake('python', tmp_path)
    variables = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='host0', PORT='4711')
    command = ['bash', TOOLS / 'dist_train.sh', 'c.py', '8', '--amp']
    result = run(command, tmp_path, PYTHON=str(tmp_path / 'python'), **variables)
    line = ' '.join(result.stdout.splitlines())
    assert '--nnodes 2 --node-rank 1 --master-addr host0 --master-port 4711' in line
    assert line.endswith('train.py c.py --amp --launcher pytorch')
    del variables['MASTER_ADDR']
    result = run(command, tmp_path, PYTHON=str(tmp_path / 'python'), **variables)
    assert result.returncode != 0
    assert 'set MASTER_ADDR' in result.stderr


@pytest.mark.parametrize(
    'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_launchers_say_what_they_want(tmp_path, script):
    result = run(['bash', TOOLS / script], tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith('usage: ')
