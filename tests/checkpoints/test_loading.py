"""Tests of safe loading: code in checkpoints never runs, and errors state the cause."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from axialvs.checkpoints.loading import (
    CheckpointMismatchError,
    DamagedCheckpointError,
    UnsafeCheckpointError,
    category_ids_of,
    class_names_of,
    load_checkpoint_safely,
    load_weights,
    state_dict_of,
)
from crafted import MakesFolder

FORMATS = pytest.mark.parametrize('as_zip', [True, False], ids=['zip', 'legacy'])


class Fetching:
    """Access an attribute when unpickled, the first step of many attacks."""

    def __init__(self, owner: object, name: str) -> None:
        self.arguments = owner, name

    def __reduce__(self):
        return getattr, self.arguments


def save(content: object, path: Path, as_zip: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    return path


@FORMATS
def test_mmengine_checkpoint_round_trip(tmp_path, as_zip):
    losses = HistoryBuffer([1.0, 3.0], [1, 1])
    written = {
        'meta': {'iter': 7, 'seed': np.int64(3), 'mean': np.float64(0.5)},
        'message_hub': {'log_scalars': {'loss': losses}, 'runtime_info': {'ids': [1, 2]}},
        'state_dict': {'weight': torch.arange(3.0)},
        'arrays': [np.arange(4), np.eye(3)[:, ::2], np.array([True]), np.ones(2, np.float16)],
        'big': np.arange(3, dtype='>i4'),
    }
    read = load_checkpoint_safely(save(written, tmp_path / 'x.pth', as_zip))
    assert read['meta'] == {'iter': 7, 'seed': 3, 'mean': 0.5}
    assert read['message_hub']['log_scalars']['loss'].statistics('mean') == 2.0
    torch.testing.assert_close(read['state_dict'], written['state_dict'], rtol=0, atol=0)
    np.testing.assert_array_equal(read['big'], [0, 1, 2])
    for got, expected in zip(read['arrays'], written['arrays'], strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype


@FORMATS
def test_crafted_file_does_not_run(tmp_path, as_zip):
    trace = tmp_path / 'trace'
    path = save({'state_dict': {}, 'x': MakesFolder(trace)}, tmp_path / 'crafted.pth', as_zip)
    with pytest.raises(UnsafeCheckpointError) as error:
        load_checkpoint_safely(path)
    assert not trace.exists()
    assert str(path) in str(error.value)
    assert 'mkdir' in str(error.value)
    torch.load(path, weights_only=False)
    assert trace.exists(), 'the file is harmless, so this test shows nothing'


@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, '__subclasses__'),
        (torch.Tensor, 'mean'),
    ],
)
def test_getattr_is_limited_to_log_statistics(tmp_path, owner, name):
    path = save({'x': Fetching(owner, name)}, tmp_path / 'x.pth')
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint_safely(path)


def test_pickled_module_error_names_the_class(tmp_path):
    path = save(torch.nn.Linear(2, 2), tmp_path / 'module.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'torch\.nn\.modules\.linear\.Linear'):
        load_checkpoint_safely(path)


@FORMATS
@pytest.mark.parametrize('share', [0.0, 0.3, 0.6, 0.95])
def test_truncated_file_is_reported_as_damaged(tmp_path, as_zip, share):
    content = {'state_dict': {f'w{i}': torch.full((50,), float(i)) for i in range(20)}}
    path = save(content, tmp_path / 'whole.pth', as_zip)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DamagedCheckpointError, match='copy or download it again'):
        load_checkpoint_safely(path)


@pytest.mark.parametrize('content', [b'<html>404</html>', b'\x80\x02', bytes(range(64))])
def test_other_file_types_raise(tmp_path, content):
    path = tmp_path / 'x.pth'
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=r'x\.pth'):
        load_checkpoint_safely(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        load_checkpoint_safely(tmp_path / 'none.pth')


def test_content_without_weights_raises(tmp_path):
    with pytest.raises(DamagedCheckpointError, match='is a list'):
        load_checkpoint_safely(save([1, 2], tmp_path / 'list.pth'))
    with pytest.raises(DamagedCheckpointError, match=r"no weights; its keys are \['meta'\]"):
        state_dict_of({'meta': {}}, 'x.pth')


def test_prefix_of_a_wrapped_model_is_removed():
    weights = state_dict_of({'state_dict': {'module.a': torch.ones(1), 'b': torch.ones(1)}}, 'x')
    assert list(weights) == ['a', 'b']
    assert list(state_dict_of({'model': {'a': torch.ones(1)}}, 'x')) == ['a']
    assert list(state_dict_of({'a': torch.ones(1)}, 'x')) == ['a']


def test_config_text_is_kept_and_never_executed(tmp_path):
    path = save({'meta': {'config': '1 / 0', 'iter': 3}}, tmp_path / 'x.pth')
    assert load_checkpoint_safely(path)['meta'] == {'config_text': '1 / 0', 'iter': 3}


def test_plain_pickle_does_not_run(tmp_path):
    trace = tmp_path / 'trace'
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps({'x': MakesFolder(trace)}, protocol=2))
    with pytest.raises((DamagedCheckpointError, UnsafeCheckpointError)):
        load_checkpoint_safely(path)
    assert not trace.exists()


META = [
    {'meta': [1]},
    {'meta': {'dataset_meta': 'x'}},
    {'meta': {'CLASSES': 3}},
    {'meta': torch.ones(2)},
]


@pytest.mark.parametrize('content', META, ids=str)
def test_malformed_metadata_is_one_clear_error(tmp_path, content):
    path = save({'state_dict': {'a': torch.ones(1)}, **content}, tmp_path / 'x.pth')
    with pytest.raises(DamagedCheckpointError, match='meta'):
        class_names_of(load_checkpoint_safely(path))


@pytest.mark.parametrize(
    'ids', [[1], [1, 1, 2], ['a', 'b', 'c'], 7, [1, 2, None, 4], [torch.ones(2)] * 3]
)
def test_category_ids_are_one_per_class(ids):
    with pytest.raises(DamagedCheckpointError, match='category_ids'):
        category_ids_of({'meta': {'dataset_meta': {'category_ids': ids, 'classes': list('abc')}}})


def test_category_ids_of_missing_classes_are_unknown():
    assert category_ids_of({'meta': {'dataset_meta': {'category_ids': [1, None, 3]}}}) is None
    assert category_ids_of({'meta': {'dataset_meta': {'category_ids': [5, 2, 3]}}}) == (5, 2, 3)
    assert category_ids_of({}) is None


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1j])
def test_weights_that_are_not_finite_raise(value):
    weights = {'ok': torch.ones(2), 'bad': torch.tensor([1, value])}
    with pytest.raises(DamagedCheckpointError, match='bad'):
        state_dict_of({'state_dict': weights}, 'x.pth')


@pytest.mark.parametrize('dtype', [torch.int32, torch.bool])
def test_weights_of_a_different_dtype_kind_raise(dtype):
    model = torch.nn.Linear(2, 2, bias=False)
    weights = {'weight': torch.ones(2, 2, dtype=dtype)}
    with pytest.raises(CheckpointMismatchError, match=f'weight is {dtype}'):
        load_weights(model, 'x.pth', {'state_dict': weights})
    load_weights(model, 'x.pth', {'state_dict': {'weight': torch.ones(2, 2, dtype=torch.half)}})
