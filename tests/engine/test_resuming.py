"""Tests of resuming: damage is detected, and changes of the config are logged."""

import errno
import itertools
import re
import shutil
from pathlib import Path

import pytest
import torch
from tiny_run import tiny_config
from torch import nn

from axialvs.checkpoints import loading
from axialvs.checkpoints.loading import (
    CheckpointError,
    DamagedCheckpointError,
    load_checkpoint_safely,
)
from axialvs.engine.resuming import find_reordered, find_resume_checkpoint
from axialvs.engine.runner import SafeRunner

NUMBERS = itertools.count()  # mmengine keeps a logger for each name
SCHEDULE = [dict(type='LinearLR', by_epoch=False, start_factor=0.5, end=4)]


def build(folder: Path, **options) -> SafeRunner:
    """Build the tiny run with a schedule; it saves every second iteration."""
    saves = {
        'default_hooks__checkpoint__interval': 2,
        'default_hooks__checkpoint__max_keep_ckpts': 9,
    }
    optim_wrapper = options.pop('optim_wrapper', None)
    config = tiny_config(
        folder, **{'param_scheduler': SCHEDULE, 'log_level': 'INFO', **saves, **options}
    )
    if optim_wrapper:
        config.optim_wrapper = optim_wrapper
    config.experiment_name = f'{folder.name}_{next(NUMBERS)}'
    return SafeRunner.from_cfg(config)


def resume(folder: Path, **options) -> str:
    """Resume two iterations before the end and return the log."""
    runner = build(folder, resume=True, load_from=str(folder / 'run' / 'iter_4.pth'), **options)
    runner.train()
    return (Path(runner.log_dir) / f'{runner.timestamp}.log').read_text()


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('resumed')
    build(folder).train()
    return folder


@pytest.mark.parametrize('bits', [0x01, 0x55])
def test_corrupt_checkpoint_falls_back_to_the_previous(tmp_path, bits):
    """The archive can be opened and read; only its checksums reveal the change."""
    build(tmp_path).train()
    last = find_resume_checkpoint(tmp_path / 'run')
    weight = load_checkpoint_safely(last)['state_dict']['weight'].numpy().tobytes()
    data = last.read_bytes()
    changed = bytes([weight[0] ^ bits]) + weight[1:]
    assert data.count(weight) >= 1
    last.write_bytes(data.replace(weight, changed))
    with pytest.raises(DamagedCheckpointError, match=re.escape(str(last))):
        load_checkpoint_safely(last)
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_4.pth'


@pytest.mark.parametrize('left', [b'', bytes(30)])
def test_empty_last_checkpoint_file(folder, tmp_path, left):
    run = shutil.copytree(folder / 'run', tmp_path / 'run')
    (run / 'last_checkpoint').write_bytes(left)
    newest = max(run.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    assert find_resume_checkpoint(run) == newest


@pytest.mark.parametrize('code', [errno.EIO, errno.EINVAL])
def test_unreadable_checkpoint_is_treated_as_damaged(folder, monkeypatch, code):
    """Caused by a bad sector, or by a corrupt index with a negative offset."""

    def read(path, with_data):
        if path.name == 'iter_6.pth':
            raise OSError(code, 'x')
        return read_file(path, with_data)

    read_file = loading.read_file
    monkeypatch.setattr(loading, 'read_file', read)
    assert find_resume_checkpoint(folder / 'run').name == 'iter_4.pth'


def test_resume_without_changes_logs_nothing(folder):
    assert 'differs from the checkpoint' not in resume(folder)


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        (dict(optim_wrapper__optimizer__lr=0.5), '0.5'),
        (dict(optim_wrapper__optimizer__weight_decay=0.25), 'weight_decay'),
        (dict(param_scheduler=[{**SCHEDULE[0], 'end': 3}]), 'LinearLR.end 4 (config: 3)'),
        (dict(param_scheduler=[]), '1 schedules (config: 0)'),
    ],
)
def test_settings_overridden_by_resuming_are_logged(folder, options, told):
    log = resume(folder, **options)
    # Runs of one second share a log file.
    line = [x for x in log.splitlines() if 'differs from the checkpoint' in x][-1]
    assert told in line
    assert 'load_from=' in line


def test_different_batch_size_is_logged(folder):
    log = resume(folder, train_dataloader__batch_size=4)
    (line,) = [x for x in log.splitlines() if 'clips per iteration' in x]
    assert 'has 4 clips per iteration and the checkpoint 2' in line


def test_different_optimizer_with_the_same_states_raises(folder, tmp_path):
    """Adam and Adamax have the same options and shapes; a run of one is not one of the other."""
    adam, adamax = (
        dict(type='OptimWrapper', optimizer=dict(type=name, lr=0.1)) for name in ('Adam', 'Adamax')
    )
    build(tmp_path, optim_wrapper=adam).train()
    assert 'differs' not in resume(tmp_path, optim_wrapper=adam)
    with pytest.raises(CheckpointError, match='Adamax and the checkpoint Adam '):
        resume(tmp_path, optim_wrapper=adamax)


@pytest.mark.parametrize('name', ['AdamW', 'RMSprop', 'Adadelta'])
def test_different_optimizer_raises(folder, name):
    optimizer = dict(type=name, lr=0.1)
    with pytest.raises(CheckpointError, match=name):
        resume(folder, optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer))


def test_states_of_different_tensors_raise(folder, monkeypatch):
    """The same number of layers is frozen, but different ones."""
    checkpoint = load_checkpoint_safely(folder / 'run' / 'iter_4.pth')
    checkpoint['optimizer']['state'][0]['momentum_buffer'] = torch.zeros(2, 3)
    monkeypatch.setattr('axialvs.engine.runner.load_checkpoint_safely', lambda path: checkpoint)
    with pytest.raises(CheckpointError, match=re.escape('[2, 3], but the config trains [3]')):
        resume(folder)


def test_reordered_parameters_raise():
    """With equal shapes an optimizer would silently swap the states of tensors."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    weights = model.state_dict()
    assert find_reordered(weights, model) is None
    assert find_reordered({'old.weight': torch.zeros(2), **weights}, model) is None
    last_first = {name: weights[name] for name in sorted(weights, reverse=True)}
    assert find_reordered(last_first, model) == ('2.weight', '0.weight')


def test_schedule_shorter_than_the_checkpoint_raises(folder):
    with pytest.raises(CheckpointError, match='max_iters'):
        resume(folder, train_cfg__max_iters=3)


def test_different_frozen_layers_raise(folder, monkeypatch):
    saved = folder / 'run' / 'iter_4.pth'
    checkpoint = load_checkpoint_safely(saved)
    checkpoint['optimizer']['param_groups'][0]['params'].append(1)
    monkeypatch.setattr('axialvs.engine.runner.load_checkpoint_safely', lambda path: checkpoint)
    with pytest.raises(CheckpointError, match='trains 1 tensors'):
        resume(folder)
