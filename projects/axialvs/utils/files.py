"""Atomic writing of files, and names of image files."""

import contextlib
import errno
import glob
import os
import re
import socket
from argparse import ArgumentTypeError
from pathlib import Path

PARTIAL_SUFFIX = '.partial'
"""Suffix of a file that is being written; files of killed processes keep it."""

_OUT_OF_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, 'EDQUOT', errno.ENOSPC)}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_NAME = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


def partial_path(path: Path, clean: bool = True) -> Path:
    """Return the name under which this process writes a file before it is renamed.

    It contains host and process, so that processes that write one file do not mix their data.

    Args:
        path: of the finished file.
        clean: delete what dead processes of this host left under such names, which takes a
            listing of the folder.
    """
    prefix = f'{path.name}.{socket.gethostname()}-'
    pattern = f'{glob.escape(prefix)}*{PARTIAL_SUFFIX}'
    for left in path.parent.glob(pattern) if clean else ():
        process = left.name.removeprefix(prefix).removesuffix(PARTIAL_SUFFIX)
        if process.isdecimal() and not _is_running(int(process)):
            left.unlink(missing_ok=True)
    return path.with_name(f'{prefix}{os.getpid()}{PARTIAL_SUFFIX}')


def _is_running(process: int) -> bool:
    if os.name != 'posix':
        return True  # signal 0 is no question there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True


def write_atomically(path: str | Path, data: bytes, sync: bool = True) -> None:
    """Write a temporary file, sync it to the disk and rename it.

    A process that dies at any point leaves the old file, or none, under the name. Pipes and devices
    such as /dev/stdout are written to directly.

    Args:
        path: the file; missing folders are created.
        data: its content.
        sync: False for one of thousands of files: they are not synced one by one.

    Raises:
        OSError: if the disk is full, the folder is not writable or the like. The message names the
            file; the temporary file is removed.
    """
    path = Path(path)
    if _is_stream(path):
        path.write_bytes(data)
        return
    partial = partial_path(path, clean=sync)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, 'wb') as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise _explained(error, path, len(data)) from error


def _is_stream(path: Path) -> bool:
    """Whether a path must not be replaced; /dev/stdout may link to a regular file."""
    plain = os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)
    return not plain or path.absolute().parent == Path('/dev')


def _explained(error: OSError, path: Path, size: int) -> OSError:
    """The error with the file's name and a remedy, and its error number."""
    if error.errno in _OUT_OF_SPACE:
        remedy = f'{size / 1e6:.3g} MB are needed: free some space, or write to a different disk'
    elif error.errno in _NO_ACCESS:
        remedy = 'the folder is not writable: change its owner or mode, or choose a different one'
    elif error.errno in _WRONG_NAME:
        remedy = 'this is a folder, or its folder is a file: choose a different name'
    else:
        remedy = 'check the disk'
    explained = type(error)(f'{path} could not be written ({error.strerror or error}); {remedy}')
    explained.errno = error.errno
    return explained


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, if the system can sync folders."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def output_file(text: str) -> Path:
    """The argparse type of a file to write; its folders may be missing.

    Raises:
        ArgumentTypeError: if it is a folder, or one of its folders is a file.
    """
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"'{text}' is a folder; name a file")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ArgumentTypeError(f"'{text}': {above} is a file; choose a different path")
    return path


def output_folder(text: str) -> Path:
    """Convert a command-line argument to a folder to write; it may be missing, else is empty.

    Raises:
        ArgumentTypeError: it is a file or holds files, or one of its folders is a file.
    """
    path = Path(text)
    if path.is_dir():
        if any(path.iterdir()):
            raise ArgumentTypeError(f"'{text}' is not empty; name a new folder")
        return path
    if path.exists():
        raise ArgumentTypeError(f"'{text}' is a file; name a folder")
    return output_file(text)


def check_writable(path: Path) -> None:
    """Check before a long run that a file can be written, and make its folder.

    Raises:
        OSError: if the write fails; the message names the file and the remedy.
    """
    if _is_stream(path):
        return
    probe = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _explained(error, path, 0) from error


IMAGE_SUFFIXES = (
    '.jpg',
    '.jpeg',
    '.jfif',
    '.png',
    '.bmp',
    '.webp',
    '.tif',
    '.tiff',
    '.ppm',
    '.pgm',
)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts 'frame10' after 'frame9'."""
    parts = re.split(r'(\d+)', name.lower())
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]
