"""Tests of how commands end: one line for what a user can mend, a traceback for the rest."""

import errno
import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from axialvs.checkpoints import load_checkpoint_safely
from axialvs.utils.cli import run_command


@pytest.fixture(autouse=True)
def _as_a_tool(monkeypatch):
    monkeypatch.delenv('AXIALVS_TRACEBACK', raising=False)
    monkeypatch.setattr(sys, 'argv', ['/somewhere/tool.py'])


def test_exit_codes():
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 3) == 3


def test_error_of_this_package_is_one_line(tmp_path, capsys):
    assert run_command(lambda: load_checkpoint_safely(tmp_path / 'x.pth')) == 1
    error = capsys.readouterr().err
    assert error == f'tool.py: error: checkpoint {tmp_path}/x.pth does not exist; check the path\n'


def test_traceback_on_request(tmp_path, monkeypatch):
    monkeypatch.setenv('AXIALVS_TRACEBACK', '1')
    with pytest.raises(FileNotFoundError):
        run_command(lambda: load_checkpoint_safely(tmp_path / 'x.pth'))


def test_defects_keep_their_traceback():
    with pytest.raises(ValueError, match='Expecting value'):
        run_command(lambda: json.loads(''))
    with pytest.raises(KeyError):
        run_command(lambda: {}['x'])


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs a device that is always full')
def test_full_disk_is_one_line_wherever_it_is_met(capsys):
    assert run_command(lambda: Path('/dev/full').write_text('x') and None) == 1
    error = capsys.readouterr().err
    assert error == (
        'tool.py: error: /dev/full: No space left on device; make room, or write to another disk\n'
    )


def test_folder_without_access_is_one_line(capsys):
    def main():
        raise PermissionError(errno.EACCES, 'Permission denied', '/somewhere')

    assert run_command(main) == 1
    assert '/somewhere: Permission denied; change its owner' in capsys.readouterr().err


def test_interruption_is_no_traceback(capsys):
    def main():
        raise KeyboardInterrupt

    assert run_command(main) == 130
    assert capsys.readouterr().err == 'interrupted\n'


class Broken(Dataset):
    """Fails as our data sets do, or as a defect does."""

    def __init__(self, path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int):
        return load_checkpoint_safely(self.path) if self.path else torch.zeros(1)[5]


def test_error_in_a_loader_process_is_one_line(tmp_path, capsys):
    loader = DataLoader(Broken(tmp_path / 'x.pth'), num_workers=1)
    assert run_command(lambda: list(loader) and None) == 1
    error = capsys.readouterr().err
    assert error == f'tool.py: error: checkpoint {tmp_path}/x.pth does not exist; check the path\n'


def test_defect_in_a_loader_process_keeps_its_traceback():
    loader = DataLoader(Broken(None), num_workers=1)
    with pytest.raises(IndexError, match='Original Traceback'):
        run_command(lambda: list(loader) and None)
