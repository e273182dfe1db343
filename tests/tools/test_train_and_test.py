"""Tests of train.py, test.py and their launchers with a tiny model: options, errors, processes."""

import contextlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import torch
from tiny_run import write_config

from axialvs.checkpoints.loading import load_checkpoint_safely
from forked import run_tool_in_ranks
from generated_videos import write_videos

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'
TINY_RUN = ROOT / 'tests' / 'engine'
NEAR_ONLINE = 'axialvs-wc_r50_8xb1-15k_youtubevis2021'


@dataclass
class Result:
    """Exit code and output of a command."""

    code: int
    output: str
    errors: str


def run(command: list, folder: Path, **variables: str) -> Result:
    """Run a command in a folder, with the tiny run's modules importable."""
    environment = os.environ | {'PYTHON': sys.executable} | variables
    environment['PYTHONPATH'] = os.pathsep.join((str(TINY_RUN), environment['PYTHONPATH']))
    result = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return Result(result.returncode, result.stdout, result.stderr)


def call(tool: str, folder: Path, *arguments: object) -> Result:
    """Run a tool as a script in this process, which saves the imports."""
    output, errors = io.StringIO(), io.StringIO()
    argv = [str(TOOLS / tool), *map(str, arguments)]
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ),
        mock.patch.object(sys, 'argv', argv),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as end,
    ):
        runpy.run_path(argv[0], run_name='__main__')
    return Result(end.value.code, output.getvalue(), errors.getvalue())


def error_of(result: Result) -> str:
    """Return the one line of a user error."""
    assert result.code == 2, result.errors
    assert 'Traceback' not in result.errors
    return result.errors.strip().splitlines()[-1]


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """Return a folder with a config and a run of six iterations with several options."""
    folder = tmp_path_factory.mktemp('trained')
    write_config(folder)
    options = ['--seed', 5, '--auto-scale-lr', '--cfg-options', 'log_level=INFO']
    result = call('train.py', folder, 'tiny.py', *options)
    assert result.code == 0, result.errors
    return folder


def test_options_reach_the_run(trained):
    work_dir = trained / 'work_dirs' / 'tiny'
    assert (work_dir / 'last_checkpoint').read_text().endswith('iter_6.pth')
    checkpoint = load_checkpoint_safely(work_dir / 'iter_6.pth')
    assert checkpoint['meta']['seed'] == 5
    # A batch of two with a config for four.
    assert checkpoint['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.005)


def test_finished_run_resumes_from_its_last_checkpoint(trained, tmp_path):
    folder = tmp_path / 'moved'
    shutil.copytree(trained, folder)
    options = ['--resume', '--cfg-options', 'train_cfg.max_iters=8']
    result = call('train.py', folder, 'tiny.py', *options)
    assert result.code == 0, result.errors
    last = load_checkpoint_safely(folder / 'work_dirs' / 'tiny' / 'iter_8.pth')
    assert last['meta']['seed'] == 5
    assert len(last['message_hub']['log_scalars']['train/loss'].data[0]) == 8


def test_resuming_without_a_checkpoint_starts_a_run(tmp_path):
    write_config(tmp_path)
    options = ['--resume', '--work-dir', 'new', '--cfg-options', 'train_cfg.max_iters=1']
    result = call('train.py', tmp_path, 'tiny.py', *options)
    assert result.code == 0, result.errors
    assert 'new has no checkpoint yet: starting from the beginning' in result.output
    assert (tmp_path / 'new' / 'iter_1.pth').is_file()


WITH_WORKERS = ['train_dataloader.num_workers=1', 'train_dataloader.persistent_workers=True']


def test_failed_run_with_loader_workers_ends(tmp_path):
    """Workers ignore the signal by which Python ends them, so they are stopped differently."""
    write_config(tmp_path)
    changes = [*WITH_WORKERS, 'optim_wrapper.clip_grad.no_such_setting=1']
    command = [sys.executable, TOOLS / 'train.py', 'tiny.py', '--cfg-options', *changes]
    result = run(command, tmp_path)
    assert result.code == 1, result.errors
    assert 'killed' not in result.errors
    assert not list((tmp_path / 'work_dirs' / 'tiny').glob('*.pth'))


def test_amp_trains_in_bfloat16_without_a_gpu(tmp_path):
    if torch.cuda.is_available():
        pytest.skip('not every GPU has bfloat16')
    write_config(tmp_path)
    options = ['--amp', 'bfloat16', '--cfg-options', 'train_cfg.max_iters=1']
    result = call('train.py', tmp_path, 'tiny.py', *options)
    assert result.code == 0, result.errors
    weights = load_checkpoint_safely(tmp_path / 'work_dirs' / 'tiny' / 'iter_1.pth')['state_dict']
    assert weights['weight'].dtype == torch.float32
    (written,) = (tmp_path / 'work_dirs' / 'tiny').glob('*.py')
    assert "type='Bfloat16OptimWrapper'" in written.read_text()


def test_unwritable_scores_file(trained):
    """The error comes before the test, which may take hours."""
    result = call('test.py', trained, 'tiny.py', 'work_dirs/tiny/iter_6.pth', '--out', 'work_dirs')
    assert result.code == 2
    assert "argument --out: 'work_dirs' is a folder; use a file path" in result.errors


def test_scores_are_written(trained, tmp_path):
    weights = load_checkpoint_safely(trained / 'work_dirs' / 'tiny' / 'iter_6.pth')['state_dict']
    torch.save({'state_dict': weights}, tmp_path / 'weights.pth')
    out = tmp_path / 'new' / 'metrics.json'
    result = call('test.py', trained, 'tiny.py', tmp_path / 'weights.pth', '--out', out)
    assert result.code == 0, result.errors
    assert json.loads(out.read_text()) == {
        'tiny/sum': pytest.approx(weights['weight'].sum().item()),
        'tiny/samples': 16,
    }


def test_two_processes_train_and_test(tmp_path, monkeypatch):
    """Run dist_train.sh on a CPU, and test.py as dist_test.sh does; loader workers exit."""
    monkeypatch.chdir(tmp_path)  # for work_dirs
    folder = tmp_path / 'with blank'
    folder.mkdir()
    write_config(folder)
    options = ['--seed', '5', '--cfg-options', 'train_cfg.max_iters=2', *WITH_WORKERS]
    result = run(['bash', TOOLS / 'dist_train.sh', folder / 'tiny.py', 2, *options], tmp_path)
    assert result.code == 0, result.errors
    assert 'killed' not in result.errors
    checkpoint = tmp_path / 'work_dirs' / 'tiny' / 'iter_2.pth'
    weights = load_checkpoint_safely(checkpoint)['state_dict']
    out = folder / 'metrics.json'
    ended = run_tool_in_ranks('test.py', folder / 'tiny.py', checkpoint, '--out', out)
    assert [process.code for process in ended] == [0, 0], ended
    assert json.loads(out.read_text()) == {
        'tiny/sum': pytest.approx(weights['weight'].sum().item()),
        'tiny/samples': 16,
    }


@pytest.mark.parametrize('seed', ['-3', '4294967296', 'x'])
def test_invalid_seed(trained, seed):
    result = call('train.py', trained, 'tiny.py', '--seed', seed)
    assert result.code == 2
    assert 'argument --seed: ' in result.errors
    assert seed in result.errors.splitlines()[-1]


def test_user_errors_are_one_line(trained, tmp_path):
    config = trained / 'tiny.py'
    cases = [
        (('train.py', tmp_path, 'none.py'), 'config none.py does not exist'),
        (
            ('train.py', tmp_path, config, '--resume', 'none.pth'),
            '--resume none.pth: no such checkpoint',
        ),
        (('train.py', tmp_path, config, '--resume', trained), 'is a folder; name a checkpoint'),
        (('train.py', tmp_path, config, '--launcher', 'pytorch'), 'use tools/dist_train.sh'),
        (
            (
                'train.py',
                tmp_path,
                config,
                '--cfg-options',
                f'load_from=work_dirs/{NEAR_ONLINE}/x.pth',
            ),
            f'run axialvs train {NEAR_ONLINE} first',
        ),
        (('test.py', tmp_path, config, 'none.pth'), 'none.pth does not exist'),
    ]
    if not torch.cuda.is_available():
        cases.append((('train.py', tmp_path, config, '--amp', 'float16'), 'float16 needs a GPU'))
    for command, expected in cases:
        error = error_of(call(*command))
        assert error.startswith(f'{command[0]}: error: ')
        assert expected in error


def test_checkpoint_of_a_different_model_is_rejected(trained, tmp_path):
    torch.save({'state_dict': {'other': torch.ones(1)}}, tmp_path / 'x.pth')
    error = error_of(call('test.py', tmp_path, trained / 'tiny.py', tmp_path / 'x.pth'))
    assert 'x.pth does not fit the model' in error
    assert 'missing in it: weight; not in the model: other' in error


def fake(name: str, folder: Path) -> None:
    """Create a command that prints its arguments, one per line."""
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
def test_slurm_scripts_pass_all_arguments_to_srun(tmp_path, script, arguments, expected):
    fake('srun', tmp_path)
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    command = ['bash', TOOLS / script, *arguments]
    result = run(command, tmp_path, PATH=path, GPUS='4', SRUN_ARGS='--qos high --time 10')
    assert result.code == 0, result.errors
    lines = result.output.splitlines()
    assert lines[lines.index('--partition') + 1] == 'part'
    assert lines[lines.index('--job-name') + 1] == 'job'
    assert lines[lines.index('--ntasks') + 1] == '4'
    assert lines[lines.index('--gres') + 1] == 'gpu:4'
    assert lines[lines.index('--qos') + 1] == 'high'
    tail = lines[-len(expected) :]
    assert [Path(tail[0]).name, *tail[1:]] == expected


def test_several_machines_use_the_given_address(tmp_path):
    fake('python', tmp_path)
    variables = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='host0', PORT='4711')
    command = ['bash', TOOLS / 'dist_train.sh', 'c.py', '8', '--amp']
    result = run(command, tmp_path, PYTHON=str(tmp_path / 'python'), **variables)
    line = ' '.join(result.output.splitlines())
    assert '--nnodes 2 --node-rank 1 --master-addr host0 --master-port 4711' in line
    assert line.endswith('train.py c.py --amp --launcher pytorch')
    del variables['MASTER_ADDR']
    result = run(command, tmp_path, PYTHON=str(tmp_path / 'python'), **variables)
    assert result.code != 0
    assert 'set MASTER_ADDR' in result.errors


def test_distributed_test_gets_its_arguments(tmp_path):
    fake('python', tmp_path)
    arguments = ['my config.py', 'w.pth', '4', '--out', 'm.json']
    command = ['bash', TOOLS / 'dist_test.sh', *arguments]
    result = run(command, tmp_path, PYTHON=str(tmp_path / 'python'))
    lines = result.output.splitlines()
    assert lines[lines.index('--nproc-per-node') + 1] == '4'
    expected = ['my config.py', 'w.pth', '--out', 'm.json', '--launcher', 'pytorch']
    assert lines[-len(expected) :] == expected
    assert Path(lines[-len(expected) - 1]).name == 'test.py'


@pytest.mark.parametrize(
    'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_launchers_print_their_usage(tmp_path, script):
    result = run(['bash', TOOLS / script], tmp_path)
    assert result.code == 2
    assert result.errors.startswith('usage: ')


def test_overlays_in_testing_need_no_training_data(tmp_path):
    split = write_videos(tmp_path / 'valid', [4, 3])
    annotations = split / 'instances.json'
    settings = {
        'default_hooks.overlays.videos': 1,
        'train_dataloader.dataset.data_root': tmp_path / 'nowhere',
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'test_dataloader.dataset.data_root': '',
        'test_dataloader.dataset.ann_file': annotations,
        'test_dataloader.dataset.data_prefix.img_path': split / 'JPEGImages',
        'test_evaluator.ann_file': annotations,
    }
    options = ['--cfg-options', *(f'{key}={value}' for key, value in settings.items())]
    name = 'axialvs-wc_tiny_movingshapes'
    config = 'axialvs-wc_tiny_1xb4-10k_movingshapes'
    result = call('test.py', tmp_path, config, name, '--work-dir', tmp_path / 'run', *options)
    assert result.code == 0, result.errors
    assert len(list((tmp_path / 'run').glob('*/vis_data/vis_image/overlay_video_*_0.png'))) == 1


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_help_imports_no_network_library(tool):
    code = (
        'import runpy, sys\nsys.argv = [sys.argv[1], "--help"]\n'
        'try:\n    runpy.run_path(sys.argv[0], run_name="__main__")\nexcept SystemExit:\n    pass\n'
        'print(sorted({"torch", "mmengine", "mmdet"} & set(sys.modules)))'
    )
    ended = subprocess.run(
        [sys.executable, '-c', code, str(TOOLS / tool)], capture_output=True, text=True
    )
    assert ended.stdout.splitlines()[-1] == '[]', ended.stderr
