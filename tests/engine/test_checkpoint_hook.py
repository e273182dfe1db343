"""Tests that a run killed at any time has a complete checkpoint and resumes from it."""

import os
import signal
import tempfile
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny_run import tiny_config

from axialvs.checkpoints.loading import (
    CheckpointError,
    load_checkpoint_safely,
)
from axialvs.engine.checkpointing import AtomicLocalBackend
from axialvs.engine.resuming import find_resume_checkpoint
from axialvs.engine.runner import SafeRunner
from axialvs.utils import files as atomic_files
from axialvs.utils.files import write_atomically
from forked import fork


def train(folder: Path, **options) -> SafeRunner:
    runner = SafeRunner.from_cfg(tiny_config(folder, **options))
    runner.train()
    return runner


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / 'run').glob('*.pth*')}


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'x'
    AtomicLocalBackend().put(b'old', path)

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr(atomic_files.os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        AtomicLocalBackend().put(b'new', path)
    assert path.read_bytes() == b'old'
    monkeypatch.undo()
    AtomicLocalBackend().put_text('ü', path)
    assert path.read_bytes() == 'ü'.encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ['x']


def test_max_keep_ckpts(tmp_path):
    train(tmp_path)
    assert names(tmp_path) == {'iter_5.pth', 'iter_6.pth'}
    last = find_resume_checkpoint(tmp_path / 'run')
    assert last.name == 'iter_6.pth'
    hub = load_checkpoint_safely(last)['message_hub']['runtime_info']
    assert hub['keep_ckpt_ids'] == [4, 5, 6]  # 4 was still there


def test_old_files_are_deleted_only_after_the_new_one_is_written(tmp_path, monkeypatch):
    """At every deletion `last_checkpoint` names a complete and newer checkpoint."""
    deleted = []
    remove = AtomicLocalBackend.remove

    def spy(self, path):
        last = find_resume_checkpoint(tmp_path / 'run')
        assert load_checkpoint_safely(last)['meta']['iter'] > int(Path(path).stem[5:])
        deleted.append(Path(path).name)
        remove(self, path)

    monkeypatch.setattr(AtomicLocalBackend, 'remove', spy)
    train(tmp_path, default_hooks__checkpoint__max_keep_ckpts=1)
    assert deleted == [f'iter_{step}.pth' for step in range(1, 6)]


def test_failed_save_deletes_nothing(tmp_path, monkeypatch):
    put = AtomicLocalBackend.put

    def fail_on_third(self, data, path):
        if str(path).endswith('iter_3.pth'):
            raise OSError('disk full')
        put(self, data, path)

    monkeypatch.setattr(AtomicLocalBackend, 'put', fail_on_third)
    with pytest.raises(OSError, match='disk full'):
        train(tmp_path, default_hooks__checkpoint__max_keep_ckpts=1)
    assert names(tmp_path) == {'iter_2.pth'}
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_2.pth'


def train_and_die(folder: Path, name: str, moment: str) -> None:
    """Train in a process that kills itself at a given point of writing a file."""
    replace, fsync = os.replace, os.fsync

    def is_being_written():
        return atomic_files.partial_path(folder / 'run' / name).exists()

    def killing_fsync(descriptor):
        if moment == 'writing' and is_being_written():
            os.ftruncate(descriptor, 100)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    def killing_replace(source, target):
        ours = str(target).endswith(name)
        if not ours or moment == 'after':
            replace(source, target)
        if ours:
            os.kill(os.getpid(), signal.SIGKILL)

    atomic_files.os.fsync, atomic_files.os.replace = killing_fsync, killing_replace
    train(folder, default_hooks__checkpoint__max_keep_ckpts=1)


# File and point of the kill, and the iteration from which the run resumes.
DEATHS = {
    'iter_3.pth:writing': 2,
    'iter_3.pth:before': 2,
    'iter_3.pth:after': 2,  # complete, but `last_checkpoint` does not name it yet
    'last_checkpoint:writing': 1,  # at the first save: no `last_checkpoint` yet
    'last_checkpoint:after': 1,
}


@pytest.fixture(scope='module')
def killed_runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('killed')
    for case in DEATHS:
        (folder / case).mkdir()
        with tempfile.TemporaryFile() as log:
            child = fork(partial(train_and_die, folder / case, *case.split(':')), log)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, case
    return folder


@pytest.mark.parametrize('case', DEATHS)
def test_run_killed_while_saving_resumes(killed_runs, case):
    """A run that was killed while saving can be resumed and completed."""
    folder = killed_runs / case
    last = find_resume_checkpoint(folder / 'run')
    assert load_checkpoint_safely(last)['meta']['iter'] == DEATHS[case]
    resumed = train(folder, resume=True, load_from=str(last))
    assert resumed.iter == 6
    assert not any(name.endswith('.partial') for name in names(folder))
    assert find_resume_checkpoint(folder / 'run').name == 'iter_6.pth'


def test_resumed_run_restores_the_state(tmp_path):
    whole = tmp_path / 'whole'
    halves = tmp_path / 'halves'
    whole.mkdir()
    halves.mkdir()
    seed = dict(seed=3)
    expected = train(whole, randomness=seed)
    train(halves, randomness=seed, train_cfg__max_iters=3)
    config = tiny_config(halves, randomness=seed, resume=True)
    config.load_from = str(find_resume_checkpoint(halves / 'run'))
    config.experiment_name = 'second half'
    second = SafeRunner.from_cfg(config)
    second.train()
    assert second.iter == 6
    saved = [load_checkpoint_safely(folder / 'run' / 'iter_6.pth') for folder in (whole, halves)]
    assert saved[0]['optimizer']['param_groups'] == saved[1]['optimizer']['param_groups']
    losses = [len(s['message_hub']['log_scalars']['train/loss'].data[0]) for s in saved]
    assert losses == [6, 6]
    assert expected.seed == second.seed == 3


def test_previous_best_is_deleted_after_the_new_is_complete(tmp_path, monkeypatch):
    put = AtomicLocalBackend.put

    def fail_on_second_best(self, data, path):
        if 'best' in str(path) and str(path).endswith('iter_4.pth'):
            assert (tmp_path / 'run' / 'best_tiny_sum_iter_2.pth').is_file()
        put(self, data, path)

    monkeypatch.setattr(AtomicLocalBackend, 'put', fail_on_second_best)
    train(
        tmp_path,
        train_cfg__val_interval=2,
        default_hooks__checkpoint__save_best='tiny/sum',
        default_hooks__checkpoint__rule='greater',
    )
    assert {name for name in names(tmp_path) if 'best' in name} == {'best_tiny_sum_iter_6.pth'}


def test_config_text_in_a_checkpoint_is_not_executed_on_resume(tmp_path):
    train(tmp_path, train_cfg__max_iters=2)
    last = find_resume_checkpoint(tmp_path / 'run')
    trace = tmp_path / 'trace'
    checkpoint = load_checkpoint_safely(last)
    checkpoint['meta']['config'] = f'import os\nos.mkdir({str(trace)!r})\n'
    torch.save(checkpoint, last)
    config = tiny_config(tmp_path, resume=True, load_from=str(last))
    config.experiment_name = 'crafted'
    resumed = SafeRunner.from_cfg(config)
    resumed.train()
    assert resumed.iter == 6
    assert not trace.exists()


def test_resuming_from_a_different_model_raises(tmp_path):
    train(tmp_path, train_cfg__max_iters=1)
    path = tmp_path / 'run' / 'iter_1.pth'
    checkpoint = load_checkpoint_safely(path)
    checkpoint['state_dict'] = {'other': torch.zeros(1)}
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match='missing in it: weight; not in the model: other'):
        train(tmp_path, load_from=str(path), resume=True)


def test_moved_folder_is_resumed_and_a_missing_file_named(tmp_path):
    train(tmp_path, train_cfg__max_iters=2)
    moved = tmp_path / 'moved'
    (tmp_path / 'run').rename(moved)
    assert find_resume_checkpoint(moved) == moved / 'iter_2.pth'
    (moved / 'iter_2.pth').unlink()
    with pytest.raises(FileNotFoundError, match=r'does not exist; .*iter_1\.pth'):
        find_resume_checkpoint(moved)
    assert find_resume_checkpoint(tmp_path / 'nothing') is None


def test_atomic_write_makes_its_folder(tmp_path):
    write_atomically(tmp_path / 'a' / 'b', b'x')
    assert (tmp_path / 'a' / 'b').read_bytes() == b'x'
