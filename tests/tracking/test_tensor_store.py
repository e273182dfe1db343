"""Tensors buffered in memory or in a file are read back unchanged."""

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
    """Use an empty folder as the platform's temporary folder."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return tmp_path


def open_files(folder: Path) -> int:
    """Return open files of this process in a folder, including unnamed ones."""
    links = [f'/proc/self/fd/{number}' for number in os.listdir('/proc/self/fd')]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    return sum(target.startswith(str(folder)) for target in targets)


def filled(clips, **kwargs) -> TensorStore:
    store = TensorStore(**kwargs)
    for clip in clips:
        store.append(clip)
    return store


@pytest.mark.parametrize('memory_limit', [2**20, 1000, 1, 0])
def test_selected_queries_are_read_clip_by_clip(clips, folder, memory_limit):
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
def test_everything_is_in_a_file_beyond_the_limit(clips, folder, memory_limit, files):
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


def test_clips_can_be_added_after_reading(clips):
    store = filled(clips[:2])
    assert torch.equal(list(store.read())[1], clips[1])
    store.append(clips[2])
    for ours, clip in zip(store.read(), clips, strict=True):
        assert torch.equal(ours, clip)


@pytest.mark.parametrize('memory_limit', [2**20, 0])
def test_half_precision_takes_half_the_space(clips, memory_limit):
    store = filled(clips, memory_limit=memory_limit, precision='float16')
    assert store.num_bytes == filled(clips).num_bytes / 2
    chosen = torch.tensor([3, 1])
    for ours, some, clip in zip(store.read(), store.read(chosen), clips, strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, clip.half().float())
        assert torch.equal(some, ours[chosen])


def test_values_beyond_half_precision_raise(clips):
    with pytest.raises(ValueError, match='exceeds the largest float16 number, 65504; use float32'):
        filled([clips[0] * 1e6], precision='float16')
    with pytest.raises(ValueError, match="precision is 'float8'"):
        TensorStore(precision='float8')


def test_no_selected_queries(clips):
    (read,) = filled(clips[:1]).read(torch.empty(0, dtype=torch.long))
    assert read.shape == (0, 3, 6, 7)


def test_full_disk_raises(clips, monkeypatch, tmp_path):
    missing = tmp_path / 'missing'
    monkeypatch.setattr(tempfile, 'tempdir', str(missing))
    with pytest.raises(OSError, match='set TMPDIR') as error:
        filled(clips, memory_limit=1)
    assert str(missing) in str(error.value)
