"""Tests of the converter's command on checkpoints of the release's names and shapes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints.loading import load_checkpoint_safely

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'model_converters' / 'convert_release.py'
GAMMA = 'panoptic_head.pixel_decoder.encoder.layers.2.attentions.0.gamma'


def convert(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
    )


@pytest.fixture(scope='module')
def release(tmp_path_factory) -> Path:
    """A checkpoint as mmcv 1.x writes it; each tensor repeats one value, so the file is small."""
    shapes = json.loads((ROOT / 'tests/data/release_keys/near_online_r50.json').read_text())
    weights = {
        name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())
    }
    meta = {'CLASSES': tuple(f'class {i}' for i in range(40)), 'config': 'raise SystemExit(3)'}
    path = tmp_path_factory.mktemp('release') / 'near_online.pth'
    torch.save({'meta': meta, 'state_dict': weights, 'optimizer': {}}, path)
    return path


def test_every_tensor_arrives_under_our_name(release, tmp_path):
    result = convert(release, tmp_path / 'ours.pth')
    assert result.returncode == 0, result.stderr
    assert '809 tensors mapped' in result.stdout
    assert f'{GAMMA} -> {GAMMA.replace("attentions.0", "self_attn")}' in result.stdout
    assert 'backbone.conv1.weight (kept)' in result.stdout
    source = load_checkpoint_safely(release)['state_dict']
    converted = load_checkpoint_safely(tmp_path / 'ours.pth')
    assert len(converted['state_dict']) == 809
    torch.testing.assert_close(
        converted['state_dict'][GAMMA.replace('attentions.0', 'self_attn')], source[GAMMA]
    )
    assert converted['meta']['converted_from'] == 'near_online.pth'
    assert converted['meta']['dataset_meta']['classes'][39] == 'class 39'


def test_stray_tensor_stops_it_and_is_named(release, tmp_path):
    checkpoint = load_checkpoint_safely(release)
    checkpoint['state_dict']['panoptic_head.stray'] = torch.zeros(1)
    del checkpoint['state_dict'][GAMMA]
    torch.save(checkpoint, tmp_path / 'stray.pth')
    result = convert(tmp_path / 'stray.pth', tmp_path / 'ours.pth', '--quiet')
    assert result.returncode == 2
    assert 'panoptic_head.stray' in result.stderr
    assert GAMMA.replace('attentions.0', 'self_attn') in result.stderr
    assert 'Traceback' not in result.stderr
    assert not (tmp_path / 'ours.pth').exists()
