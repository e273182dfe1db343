"""Two processes on a CPU, by the real tools: they learn and score what one does alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

import fixed_points  # noqa: F401 - registers the head of `make_config`
from axialvs.checkpoints import load_checkpoint_safely
from generated_videos import point_at, write_videos
from tiny_segmenter import tiny_config, tiny_segmenter

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / 'tools'
SEED = 3
TOLERANCE = 1e-5


def make_config(folder: Path, split: Path, batch_size: int):
    """One training step that can be repeated, written to a file; and its run's folder."""
    config = tiny_config()
    point_at(config, train=split, test=split)
    # All masks are compared at points that depend on neither process nor place in the batch, and
    # classes weigh the same: mmdet divides the class loss by the weights of each process's own.
    config.custom_imports.imports.append('fixed_points')
    config.model.panoptic_head.type = 'FixedPointsHead'
    config.model.panoptic_head.loss_cls.class_weight = [1.0] * 6
    config.train_dataloader.batch_size = batch_size
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=10)
    # Weights change by their gradients.
    config.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    config.param_scheduler = []
    config.randomness = dict(seed=SEED)
    config.load_from = str(folder / 'start.pth')
    config.test_evaluator.outfile_prefix = str(folder / f'results_{batch_size}')
    config.work_dir = str(folder / f'batch_{batch_size}')
    config.experiment_name = f'batch_{batch_size}'
    path = folder / f'batch_{batch_size}.py'
    config.dump(path)
    return config, path


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint_safely(folder / 'iter_1.pth')['state_dict']


def run(*command) -> str:
    environment = os.environ | {'PYTHON': sys.executable}
    environment['PYTHONPATH'] = os.pathsep.join((str(ROOT / 'tests'), environment['PYTHONPATH']))
    command = [str(part) for part in command]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout + result.stderr


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('videos') / 'videos', [4, 7, 3])


@pytest.fixture(scope='module')
def alone(split, tmp_path_factory):
    """A run of one process with both clips, and its folder."""
    folder = tmp_path_factory.mktemp('runs')
    torch.save({'state_dict': tiny_segmenter().state_dict()}, folder / 'start.pth')
    config, _ = make_config(folder, split, batch_size=2)
    runner = Runner.from_cfg(config)
    runner.train()
    return runner, folder


def test_two_processes_learn_what_one_learns(alone, split):
    _, folder = alone
    _, config = make_config(folder, split, batch_size=1)
    log = run('bash', TOOLS / 'dist_train.sh', config, 2)
    before = torch.load(folder / 'start.pth', weights_only=True)['state_dict']
    ours, expected = weights_of(folder / 'batch_1'), weights_of(folder / 'batch_2')
    assert ours.keys() == expected.keys()
    gradients = {key: before[key] - expected[key] for key in ours}
    scale = max(gradient.abs().max() for gradient in gradients.values())
    assert scale > 0.1
    for key, weight in ours.items():
        error = (weight - expected[key]).abs().max()
        assert error <= TOLERANCE * scale, f'{key} differs by {error / scale:.1e} of the scale'
    assert 'Distributed training: True' in log


def test_two_processes_score_what_one_scores(alone, split, tmp_path):
    runner, folder = alone
    _, config = make_config(folder, split, batch_size=1)
    checkpoint = folder / 'start.pth'
    runner.model.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    expected = runner.test()
    out = tmp_path / 'metrics.json'
    run('bash', TOOLS / 'dist_test.sh', config, checkpoint, 2, '--out', out)
    assert json.loads(out.read_text()) == expected
    ours, theirs = (json.loads((folder / f'results_{n}.json').read_text()) for n in (1, 2))
    assert {entry['video_id'] for entry in ours} == {1, 2, 3}
    assert any(any(entry['segmentations']) for entry in ours)
    assert ours == theirs
