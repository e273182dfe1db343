"""Read text, write files atomically, check output paths, and sort file names."""

import contextlib
import errno
import glob
import os
import re
import socket
from argparse import ArgumentTypeError
from pathlib import Path

from axialvs.utils.errors import AxialVSError

PARTIAL_SUFFIX = '.partial'
"""Suffix of files during writing; files of killed processes keep it."""

_OUT_OF_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, 'EDQUOT', errno.ENOSPC)}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_NAME = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


def partial_path(path: Path, clean: bool = True) -> Path:
    """Return the temporary path for writing a file before it is renamed.

    It contains host and process id, so that processes writing the same file do not interfere.

    Args:
        path: path of the finished file.
        clean: delete temporary files of dead processes on this host, which requires listing the
            folder.
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
        return True  # no signal 0 on Windows
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        pass
    return True


def write_atomically(path: str | Path, data: bytes, sync: bool = True) -> None:
    """Write a temporary file, sync it to disk and rename it.

    If the process dies, the old file, if any, is unchanged. Pipes and devices such as /dev/stdout
    are written directly.

    Args:
        path: the file; missing folders are created.
        data: its content.
        sync: whether to sync the file to disk, which is slow for thousands of files.

    Raises:
        OSError: if the file cannot be written, such as on a full disk. The message names the file;
            the temporary file is removed.
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
    """Return whether a path must not be replaced; /dev/stdout may link to a regular file."""
    plain = os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)
    return not plain or path.absolute().parent == Path('/dev')


def _explained(error: OSError, path: Path, size: int) -> OSError:
    """Add file name and remedy to the message of an error, keeping its error number."""
    if error.errno in _OUT_OF_SPACE:
        remedy = f'{size / 1e6:.3g} MB are needed: free disk space, or write to a different disk'
    elif error.errno in _NO_ACCESS:
        remedy = 'the folder is not writable: change its owner or mode, or use a different one'
    elif error.errno in _WRONG_NAME:
        remedy = 'it is a folder, or its parent is a file: use a different name'
    else:
        remedy = 'check the disk'
    explained = type(error)(f'{path} could not be written ({error.strerror or error}); {remedy}')
    explained.errno = error.errno
    return explained


def _sync_folder(folder: Path) -> None:
    """Make a rename durable across power failures, if the system can sync folders."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def output_file(text: str) -> Path:
    """Parse the path of an output file as an argparse type; parent folders may be missing.

    Raises:
        ArgumentTypeError: if it is a folder, or one of its parents is a file.
    """
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"'{text}' is a folder; use a file path")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ArgumentTypeError(f"'{text}': {above} is a file; use a different path")
    return path


def output_folder(text: str) -> Path:
    """Parse the path of a missing or empty output folder as an argparse type.

    Raises:
        ArgumentTypeError: if it is a file or not empty, or one of its parents is a file.
    """
    path = Path(text)
    if path.is_dir():
        if any(path.iterdir()):
            raise ArgumentTypeError(f"'{text}' is not empty; use a new folder")
        return path
    if path.exists():
        raise ArgumentTypeError(f"'{text}' is a file; use a folder")
    return output_file(text)


def check_writable(path: Path) -> None:
    """Check before a long run that a file can be written, and create its folder.

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


def read_utf8(path: str | Path) -> str:
    """Read a text file, with or without a byte order mark.

    Raises:
        AxialVSError: if it is not encoded as UTF-8.
    """
    try:
        return Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise AxialVSError(f'{path}: is not UTF-8 ({error}); save it as UTF-8') from error


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that orders 'frame10' after 'frame9'."""
    parts = re.split(r'(\d+)', name.lower())
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]
