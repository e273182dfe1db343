"""Tests of the converter's command on checkpoints of the release's names and shapes."""

import json
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints.loading import load_checkpoint_safely
from forked import run_tool

ROOT = Path(__file__).parents[2]
TOOL = 'model_converters/convert_release.py'
GAMMA = 'panoptic_head.pixel_decoder.encoder.layers.2.attentions.0.gamma'


@pytest.fixture(scope='module')
def release(tmp_path_factory) -> Path:
    """Write a checkpoint as mmcv 1.x does; each tensor repeats one value to keep the file small."""
    shapes = json.loads((ROOT / 'tests/data/release_keys/near_online_r50.json').read_text())
    weights = {
        name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())
    }
    meta = {'CLASSES': tuple(f'class {i}' for i in range(40)), 'config': 'raise SystemExit(3)'}
    path = tmp_path_factory.mktemp('release') / 'near_online.pth'
    torch.save({'meta': meta, 'state_dict': weights, 'optimizer': {}}, path)
    return path


def test_every_tensor_is_renamed(release, tmp_path):
    result = run_tool(TOOL, release, tmp_path / 'ours.pth')
    assert result.code == 0, result.output
    assert 'mapped all 809 tensors' in result.output
    assert f'{GAMMA} -> {GAMMA.replace("attentions.0", "self_attn")}' in result.output
    assert 'backbone.conv1.weight (kept)' in result.output
    source = load_checkpoint_safely(release)['state_dict']
    converted = load_checkpoint_safely(tmp_path / 'ours.pth')
    assert len(converted['state_dict']) == 809
    torch.testing.assert_close(
        converted['state_dict'][GAMMA.replace('attentions.0', 'self_attn')], source[GAMMA]
    )
    assert converted['meta']['converted_from'] == 'near_online.pth'
    assert converted['meta']['dataset_meta']['classes'][39] == 'class 39'


def test_unknown_tensor_raises_and_is_named(release, tmp_path):
    checkpoint = load_checkpoint_safely(release)
    checkpoint['state_dict']['panoptic_head.stray'] = torch.zeros(1)
    del checkpoint['state_dict'][GAMMA]
    torch.save(checkpoint, tmp_path / 'stray.pth')
    result = run_tool(TOOL, tmp_path / 'stray.pth', tmp_path / 'ours.pth', '--quiet')
    assert result.code == 2
    assert 'panoptic_head.stray' in result.output
    assert GAMMA.replace('attentions.0', 'self_attn') in result.output
    assert 'Traceback' not in result.output
    assert not (tmp_path / 'ours.pth').exists()
