"""Tests of output file arguments of commands, and of writing to special files."""

import os
import socket
import subprocess
import sys
import threading
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from axialvs.utils.files import output_file, partial_path, write_atomically


def test_valid_names_in_existing_and_missing_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there').touch()
    for name in ('there', 'new', 'a/b/c.json', f'{tmp_path}/a/b'):
        assert output_file(name) == Path(name)


def test_invalid_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(ArgumentTypeError, match="'' is a folder; use a file path"):
        output_file('')
    with pytest.raises(ArgumentTypeError, match=r"'file/x/y': .*/file is a file"):
        output_file('file/x/y')


def test_folder_error_does_not_mention_the_disk(tmp_path):
    with pytest.raises(IsADirectoryError, match='it is a folder') as caught:
        write_atomically(tmp_path, b'x')
    assert 'check the disk' not in str(caught.value)


def test_pipe_is_written_and_kept(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(pipe, b'figures')
    reader.join(timeout=10)
    assert read == [b'figures']
    assert pipe.is_fifo()


def test_device_link_to_a_regular_file_is_not_replaced(monkeypatch):
    """This is the case of /dev/stdout with output redirected to a file."""
    written = {}
    monkeypatch.setattr(Path, 'write_bytes', lambda path, data: written.update({path: data}))
    monkeypatch.setattr(os, 'replace', lambda *paths: pytest.fail(f'{paths}: a device is replaced'))
    write_atomically('/dev/stdout', b'figures')
    assert written == {Path('/dev/stdout'): b'figures'}


def test_concurrent_writers_do_not_mix_their_data(tmp_path, monkeypatch):
    """The file has only the data of the last writer."""
    target = tmp_path / 'scores.json'
    replace = os.replace

    def write_in_between(source, destination):
        monkeypatch.setattr(os, 'replace', replace)
        monkeypatch.setattr(os, 'getpid', os.getppid)
        write_atomically(target, b'of the other process')
        replace(source, destination)

    monkeypatch.setattr(os, 'replace', write_in_between)
    write_atomically(target, b'of this one')
    assert target.read_bytes() == b'of this one'
    assert list(tmp_path.iterdir()) == [target]


def test_partial_files_of_dead_processes_are_deleted(tmp_path):
    target = tmp_path / 'tracks [1].json'
    with subprocess.Popen([sys.executable, '-c', '']) as dead:
        pass
    left, other_host, running = (
        partial_path(target).with_name(f'{target.name}.{host}-{process}.partial')
        for host, process in (
            (socket.gethostname(), dead.pid),
            ('elsewhere', dead.pid),
            (socket.gethostname(), os.getppid()),
        )
    )
    for file in (left, other_host, running):
        file.touch()
    write_atomically(target, b'x')
    assert not left.exists()
    assert other_host.exists()
    assert running.exists()
