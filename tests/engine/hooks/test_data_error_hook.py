"""Clips that cannot be loaded end a training after its state is saved."""

import os
from itertools import islice
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny_run import tiny_config

from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.engine.resuming import find_resume_checkpoint
from axialvs.engine.runner import SafeRunner
from forked import run_tool_in_ranks

ITERATIONS = 6
BATCH = 2
SEED = 0  # as in the default runtime
NO_SAVES = dict(default_hooks__checkpoint__interval=100)


def config_of(folder: Path, **options) -> Config:
    """Return the tiny run on files that may be missing, without saves before its end."""
    folder.mkdir(exist_ok=True)
    config = tiny_config(folder, train_dataloader__dataset__type='TinyFiles', **NO_SAVES, **options)
    config.train_dataloader.dataset.data_root = str(folder)
    config.experiment_name = f'{folder.name}_{os.urandom(4).hex()}'
    return config


def sample_of(iteration: int) -> int:
    """Return the first sample of an iteration."""
    generator = torch.Generator().manual_seed(SEED)
    order = torch.randperm(16, generator=generator).tolist()
    return next(islice(order, (iteration - 1) * BATCH, None))


def make_missing(folder: Path, sample: int) -> Path:
    """Create and return the marker file that makes a sample unreadable."""
    marker = folder / f'{sample}.missing'
    folder.mkdir(exist_ok=True)
    marker.touch()
    return marker


def weights_of(folder: Path) -> torch.Tensor:
    path = folder / 'run' / f'iter_{ITERATIONS}.pth'
    return load_checkpoint_safely(path)['state_dict']['weight']


@pytest.mark.parametrize('workers', [0, 1])
def test_resumes_at_the_missing_frame(tmp_path, workers):
    options = dict(train_dataloader__num_workers=workers)
    SafeRunner.from_cfg(config_of(tmp_path / 'whole', **options)).train()
    broken = tmp_path / 'broken'
    marker = make_missing(broken, sample_of(iteration=4))
    with pytest.raises(FileNotFoundError, match=r'sample \d+ is missing'):
        SafeRunner.from_cfg(config_of(broken, **options)).train()
    saved = find_resume_checkpoint(broken / 'run')
    assert saved.name == 'iter_3.pth'
    marker.unlink()
    SafeRunner.from_cfg(config_of(broken, **options, resume=True, load_from=str(saved))).train()
    assert torch.equal(weights_of(broken), weights_of(tmp_path / 'whole'))


def test_epochs_train_and_end_with_the_error(tmp_path):
    config = config_of(tmp_path)
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
    config.train_dataloader.sampler.type = 'DefaultSampler'
    config.default_hooks.checkpoint.update(by_epoch=True, interval=1)
    SafeRunner.from_cfg(config).train()
    assert (tmp_path / 'run' / 'epoch_2.pth').is_file()
    make_missing(tmp_path, 3)
    config.experiment_name += '_again'
    with pytest.raises(FileNotFoundError, match='sample 3 is missing'):
        SafeRunner.from_cfg(config).train()


def test_nothing_is_saved_before_the_first_iteration(tmp_path):
    make_missing(tmp_path, sample_of(iteration=1))
    with pytest.raises(FileNotFoundError):
        SafeRunner.from_cfg(config_of(tmp_path)).train()
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_incomplete_accumulation_is_not_saved(tmp_path):
    """With mmengine's accumulation, a checkpoint after three of four batches is incomplete."""
    make_missing(tmp_path, sample_of(iteration=4))
    with pytest.raises(FileNotFoundError):
        SafeRunner.from_cfg(config_of(tmp_path, optim_wrapper__accumulative_counts=4)).train()
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_two_processes_save_and_stop_together(tmp_path):
    """Only one of them reads the missing file; the other would wait for its gradients."""
    config = config_of(tmp_path, train_dataloader__batch_size=1)
    config.custom_imports = dict(
        imports=['axialvs.register', 'tiny_run'], allow_failed_imports=False
    )
    path = tmp_path / 'config.py'
    config.dump(path)
    make_missing(tmp_path, sample_of(iteration=4))
    ended = run_tool_in_ranks('train.py', path, '--work-dir', tmp_path / 'run')
    assert any(process.code != 0 for process in ended)
    assert any('is missing' in process.output for process in ended)
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_3.pth'
