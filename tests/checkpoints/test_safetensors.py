"""Tests of .safetensors checkpoints: publishing, reading with both readers, and damaged files."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints.hub import resolve_checkpoint
from axialvs.checkpoints.loading import (
    CheckpointError,
    DamagedCheckpointError,
    category_ids_of,
    class_names_of,
    load_checkpoint_safely,
)
from axialvs.utils.errors import AxialVSError

PUBLISH = Path(__file__).parents[2] / 'tools' / 'model_converters' / 'publish_model.py'
NAME = 'axialvs-wc_tiny_movingshapes'


@pytest.fixture
def library():
    return pytest.importorskip('safetensors.torch', reason='safetensors is not installed')


@pytest.fixture
def publish(monkeypatch):
    def run(*arguments) -> int:
        monkeypatch.setattr(sys, 'argv', [str(PUBLISH), *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(PUBLISH), run_name='__main__')
        return caught.value.code

    return run


def test_published_file_has_weights_classes_and_metadata(library, publish, tmp_path):
    source, target = resolve_checkpoint(NAME), tmp_path / 'weights.safetensors'
    assert publish(source, target) == 0
    expected, found = load_checkpoint_safely(source), load_checkpoint_safely(target)
    by_library = library.load_file(target)
    assert set(by_library) == set(found['state_dict']) == set(expected['state_dict'])
    for name, weight in expected['state_dict'].items():
        assert torch.equal(by_library[name], weight)
        assert torch.equal(found['state_dict'][name], weight)
    assert class_names_of(found) == class_names_of(expected)
    assert category_ids_of(found) == category_ids_of(expected)
    assert found['meta']['iter'] == expected['meta']['iter']
    checked = load_checkpoint_safely(target, with_data=False)['state_dict']
    assert all(weight.is_meta for weight in checked.values())


def test_tied_weights_and_base_checkpoint_are_published(library, publish, tmp_path):
    base = load_checkpoint_safely(resolve_checkpoint(NAME))['state_dict']
    tied = torch.arange(6.0).reshape(2, 3)
    whole = dict(list(base.items())[:3]) | {'a': tied, 'b': tied.t()}
    torch.save({'state_dict': whole}, tmp_path / 'x.pth')
    target = tmp_path / 'x.safetensors'
    assert publish(tmp_path / 'x.pth', target, '--base', NAME) == 0
    assert set(library.load_file(target)) == {'a', 'b'}
    loaded = load_checkpoint_safely(target)['state_dict']
    assert set(loaded) == set(whole)
    assert all(torch.equal(loaded[name], whole[name]) for name in whole)


def test_file_of_another_program_has_weights_only(library, tmp_path):
    library.save_file({'weight': torch.ones(3)}, tmp_path / 'x.safetensors')
    loaded = load_checkpoint_safely(tmp_path / 'x.safetensors')
    assert loaded['state_dict']['weight'].tolist() == [1, 1, 1]
    assert class_names_of(loaded) is None


@pytest.mark.parametrize('meta', ['{', '[' * 100_000, '[1]', '"x"', '{"dataset_meta": 3}'])
def test_invalid_metadata_raises(library, tmp_path, meta):
    path = tmp_path / 'x.safetensors'
    library.save_file({'weight': torch.ones(3)}, path, {'axialvs_meta': meta})
    with pytest.raises(CheckpointError):
        class_names_of(load_checkpoint_safely(path))


@pytest.mark.parametrize('change', ['cut', 'header', 'empty', 'size'])
def test_error_names_the_damaged_file(library, tmp_path, change):
    path = tmp_path / 'x.safetensors'
    library.save_file({'weight': torch.ones(300)}, path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8 : 8 + length])
    header['weight']['shape'] = [1 << 40]
    larger = json.dumps(header).encode()
    path.write_bytes(
        {
            'cut': data[:-100],
            'header': data[:8] + b'x' * length + data[8 + length :],
            'empty': b'',
            'size': len(larger).to_bytes(8, 'little') + larger + data[8 + length :],
        }[change]
    )
    with pytest.raises(DamagedCheckpointError, match=r'x\.safetensors'):
        load_checkpoint_safely(path)


def test_error_without_the_library_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    (tmp_path / 'x.safetensors').write_bytes(b'')
    with pytest.raises(AxialVSError, match=r'axialvs\[safetensors\]'):
        load_checkpoint_safely(tmp_path / 'x.safetensors')
