"""Tests of the runner's loading of checkpoints."""

import os

import pytest
import torch
from mmengine.runner import CheckpointLoader, Runner
from tiny_run import tiny_config
from torch import nn

from axialvs.checkpoints.loading import CheckpointError, UnsafeCheckpointError
from axialvs.engine import runner as module
from axialvs.engine.runner import SafeRunner, load_address


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'state_dict': {'a': torch.tensor([4.0])}}, path)
    return path


def value_of(address) -> float:
    return load_address(str(address))['state_dict']['a'].item()


def test_paths(checkpoint):
    assert value_of(checkpoint) == 4.0


def test_zoo_names(checkpoint, monkeypatch):
    asked = []
    monkeypatch.setattr(module, 'fetch_checkpoint', lambda name: asked.append(name) or checkpoint)
    assert value_of('axialvs://mask2former_r50_coco') == 4.0
    assert asked == ['mask2former_r50_coco']


def test_torchvision_names_need_no_torchvision(checkpoint, monkeypatch):
    asked = []
    monkeypatch.setattr(module, 'download', lambda url: asked.append(url) or checkpoint)
    assert value_of('torchvision://resnet50') == 4.0
    assert asked[0].endswith('/resnet50-0676ba61.pth')
    with pytest.raises(CheckpointError, match='resnet99'):
        load_address('torchvision://resnet99')


def test_other_schemes_are_refused():
    with pytest.raises(CheckpointError, match='s3://bucket'):
        load_address('s3://bucket/x.pth')


class MakesFolder:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder) -> None:
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


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
