"""Tensors that wait in memory or in a file: the same numbers come back, the file is real."""

import os
import tempfile
from pathlib import Path

import pytest
import torch

from axialvs.tracking.tensor_store import TensorStore

NUM_QUERIES = 5


@pytest.fixture
def clips():
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(NUM_QUERIES, t, 6, 7, generator=rng) for t in (3, 3, 1)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The platform's temporary folder is an empty one."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return tmp_path


def open_files(folder: Path) -> int:
    """Files of this process in a folder, those without a name included."""
    links = [f'/proc/self/fd/{number}' for number in os.listdir('/proc/self/fd')]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    return sum(target.startswith(str(folder)) for target in targets)


def filled(clips, **kwargs) -> TensorStore:
    store = TensorStore(**kwargs)
    for clip in clips:
        store.append(clip)
    return store


@pytest.mark.parametrize('memory_limit', [2**20, 1000, 1, 0])
def test_chosen_queries_come_back_clip_by_clip(clips, folder, memory_limit):
    store = filled(clips, memory_limit=memory_limit)
    chosen = torch.tensor([4, 0, 4])
    for _ in range(2):  # it can be read again
        read = list(store.read(chosen))
        assert len(read) == len(clips)
        for ours, clip in zip(read, clips, strict=True):
            assert torch.equal(ours, clip[chosen])
    store.close()


@pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='reads the open files of Linux')
@pytest.mark.parametrize(('memory_limit', 'files'), [(2**20, 0), (1000, 1), (0, 1)])
def test_beyond_the_limit_all_lies_in_a_file(clips, folder, memory_limit, files):
    store = filled(clips, memory_limit=memory_limit)
    assert open_files(folder) == files
    store.close()
    assert open_files(folder) == 0
    assert not list(folder.iterdir())


def test_low_precision_is_kept_as_float32(clips):
    store = filled([clips[0].bfloat16()])
    (read,) = store.read(torch.arange(NUM_QUERIES))
    assert torch.equal(read, clips[0].bfloat16().float())


def test_logits_need_not_be_contiguous(clips):
    store = filled([clips[0].transpose(2, 3)])
    (read,) = store.read(torch.tensor([2]))
    assert torch.equal(read[0], clips[0][2].transpose(1, 2))


def test_a_whole_clip_comes_back_and_more_can_follow(clips):
    store = filled(clips[:2])
    assert torch.equal(list(store.read())[1], clips[1])
    store.append(clips[2])
    for ours, clip in zip(store.read(), clips, strict=True):
        assert torch.equal(ours, clip)


@pytest.mark.parametrize('memory_limit', [2**20, 0])
def test_half_precision_takes_half_the_room(clips, memory_limit):
    store = filled(clips, memory_limit=memory_limit, precision='float16')
    assert store.num_bytes == filled(clips).num_bytes / 2
    chosen = torch.tensor([3, 1])
    for ours, some, clip in zip(store.read(), store.read(chosen), clips, strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, clip.half().float())
        assert torch.equal(some, ours[chosen])


def test_what_half_precision_cannot_hold_is_an_error(clips):
    with pytest.raises(ValueError, match='exceeds the largest float16 number, 65504; use float32'):
        filled([clips[0] * 1e6], precision='float16')
    with pytest.raises(ValueError, match="precision is 'float8'"):
        TensorStore(precision='float8')


def test_no_queries_are_no_rows(clips):
    (read,) = filled(clips[:1]).read(torch.empty(0, dtype=torch.long))
    assert read.shape == (0, 3, 6, 7)


def test_no_room_for_the_file(clips, monkeypatch, tmp_path):
    missing = tmp_path / 'missing'
    monkeypatch.setattr(tempfile, 'tempdir', str(missing))
    with pytest.raises(OSError, match='set TMPDIR') as error:
        filled(clips, memory_limit=1)
    assert str(missing) in str(error.value)
