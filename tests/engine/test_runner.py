"""Tests of the runner's loading of checkpoints."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader, Runner
from tiny_run import tiny_config
from torch import nn

from axialvs.checkpoints.loading import UnsafeCheckpointError
from axialvs.engine import runner as module
from axialvs.engine.runner import (
    LoaderWorkerError,
    SafeRunner,
    WorkDirInUseError,
)
from axialvs.utils.errors import AxialVSError
from crafted import MakesFolder


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'state_dict': {'a': torch.tensor([4.0])}}, path)
    return path


def test_only_this_runner_reads_weights_only(tmp_path, checkpoint):
    harmful = tmp_path / 'harmful.pth'
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'x': MakesFolder(tmp_path / 'ran')}, harmful)
    runner = SafeRunner.from_cfg(tiny_config(tmp_path, custom_hooks=[]))
    with pytest.raises(UnsafeCheckpointError):
        runner.load_checkpoint(str(harmful))
    assert not (tmp_path / 'ran').exists()
    assert CheckpointLoader.load_checkpoint.__func__.__module__ == 'mmengine.runner.checkpoint'
    Runner.from_cfg(tiny_config(tmp_path, custom_hooks=[])).load_checkpoint(str(harmful))
    assert (tmp_path / 'ran').exists()  # mmengine's own behavior is left as it is


def test_pretrained_initialization_is_weights_only(tmp_path):
    harmful = tmp_path / 'harmful.pth'
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'x': MakesFolder(tmp_path / 'ran')}, harmful)
    runner = SafeRunner.from_cfg(tiny_config(tmp_path))
    runner.model.init_cfg = dict(type='Pretrained', checkpoint=str(harmful))
    assert isinstance(runner.model, nn.Module)
    with pytest.raises(UnsafeCheckpointError):
        runner._init_model_weights()
    assert not (tmp_path / 'ran').exists()


def test_sync_bn_on_a_cpu(tmp_path, one_process):
    with pytest.raises(AxialVSError, match='sync_bn=None'):
        SafeRunner.from_cfg(tiny_config(tmp_path, sync_bn='torch', launcher='pytorch'))


def test_work_dir_of_a_running_training_is_locked(tmp_path):
    runner = SafeRunner.from_cfg(tiny_config(tmp_path))
    lock = Path(runner.work_dir) / 'train.lock'
    code = (
        'import fcntl, sys\nfile = open(sys.argv[1], "a+")\nfcntl.lockf(file, fcntl.LOCK_EX)\n'
        'print("process 7 on node3", file=file, flush=True)\nprint(flush=True)\ninput()'
    )
    command = [sys.executable, '-c', code, str(lock)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as other:
        other.stdout.readline()
        with pytest.raises(WorkDirInUseError, match='process 7 on node3'):
            runner.train()
        other.kill()
    SafeRunner.from_cfg(tiny_config(tmp_path)).train()  # the lock ended with its process


@pytest.mark.parametrize('dataset', ['KillsWorkers', 'RunsOutOfSharedMemory'])
def test_worker_out_of_memory_is_a_one_line_error(tmp_path, dataset):
    changes = {f'{name}_dataloader__num_workers': 2 for name in ('train', 'test')}
    config = tiny_config(tmp_path, **changes)
    config.train_dataloader.dataset.type = config.test_dataloader.dataset.type = dataset
    for run in (SafeRunner.train, SafeRunner.test):
        with pytest.raises(LoaderWorkerError, match='memory') as caught:
            run(SafeRunner.from_cfg(config))
        assert '\n' not in str(caught.value)


def test_console_is_concise_and_the_log_file_complete(tmp_path, capfd):
    config = tiny_config(tmp_path, log_level='INFO')
    runner = SafeRunner.from_cfg(config)
    runner.train()
    shown = capfd.readouterr().out
    logged = (Path(runner.log_dir) / f'{runner.timestamp}.log').read_text()
    assert len(shown.splitlines()) < 20
    for text in ('TinyModel', str(tmp_path), 'iter_6.pth', 'Iter(train) [1/6]', 'sum'):
        assert text in shown
    assert 'Config:' in logged
    assert 'Config:' not in shown
    config.verbose = True
    config.experiment_name = 'verbose'
    SafeRunner.from_cfg(config)
    assert 'Config:' in capfd.readouterr().out


def test_convnext_loads_the_official_checkpoint(tmp_path, monkeypatch):
    """The classifier and last norm, which the backbone lacks, are reported without an error."""
    messages = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: messages.append(record.getMessage()))
    settings = dict(type='PaddedConvNeXt', version=2, arch_override=((1, 1, 1, 1), (4, 8, 8, 8)))
    source = MODELS.build(settings)
    official = source.state_dict() | {
        f'{part}.{kind}': torch.ones(8) for part in ('head', 'norm') for kind in ('weight', 'bias')
    }
    torch.save({'model': official}, tmp_path / 'official.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'official.pth'))
    backbone = MODELS.build(settings | dict(init_cfg=init))
    with module._weights_only():
        backbone.init_weights()
    for name, tensor in backbone.state_dict().items():
        torch.testing.assert_close(tensor, source.state_dict()[name])
    assert any('head.weight' in message and 'norm.bias' in message for message in messages)
