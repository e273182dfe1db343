"""Tests of the loaders that mmengine's runner uses for addresses of all kinds."""

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from axialvs.checkpoints import mmengine_loaders


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'state_dict': {'a': torch.tensor([4.0])}}, path)
    return path


def value_of(address: str) -> float:
    return CheckpointLoader.load_checkpoint(address, 'cpu')['state_dict']['a'].item()


def test_zoo_names(checkpoint, monkeypatch):
    asked = []
    monkeypatch.setattr(
        mmengine_loaders, 'fetch_checkpoint', lambda name: asked.append(name) or checkpoint
    )
    assert value_of('axialvs://mask2former_r50_coco') == 4.0
    assert asked == ['mask2former_r50_coco']


def test_torchvision_names_need_no_torchvision(checkpoint, monkeypatch):
    asked = []
    monkeypatch.setattr(mmengine_loaders, 'download', lambda url: asked.append(url) or checkpoint)
    assert value_of('torchvision://resnet50') == 4.0
    assert asked[0].endswith('/resnet50-0676ba61.pth')
    with pytest.raises(ValueError, match='resnet99'):
        CheckpointLoader.load_checkpoint('torchvision://resnet99', 'cpu')


def test_addresses_are_kept_in_the_cache(checkpoint, monkeypatch, tmp_path):
    monkeypatch.setenv('AXIALVS_CACHE', str(tmp_path / 'cache'))
    cached = tmp_path / 'cache' / 'checkpoints' / 'x.pth'
    cached.parent.mkdir(parents=True)
    checkpoint.rename(cached)
    assert value_of('https://example.org/models/x.pth') == 4.0
