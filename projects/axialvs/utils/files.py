"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import re
from argparse import ArgumentTypeError
from pathlib import Path

# Of a file that is being written; what a killed process leaves behind carries it for good.
PARTIAL_SUFFIX = '.partial'

_OUT_OF_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, 'EDQUOT', errno.ENOSPC)}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_NAME = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file aside, waits until it is on the disk and gives it its name.

    A process that dies at any point leaves the old file, or none, under the name. A pipe or a
    device such as /dev/stdout is written to as it is.

    Raises:
        OSError: The disk is full, the folder may not be written to or the like. The message names
            the file; what was written aside is gone again.
    """
    path = Path(path)
    if _is_stream(path):
        path.write_bytes(data)
        return
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise _explained(error, path, len(data)) from error


def _is_stream(path: Path) -> bool:
    """Whether a path must not be renamed over: /dev/stdout may well lead to a plain file."""
    plain = os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)
    return not plain or path.absolute().parent == Path('/dev')


def _explained(error: OSError, path: Path, size: int) -> OSError:
    """The error with the file's name and what can be done; its number stays."""
    if error.errno in _OUT_OF_SPACE:
        remedy = f'{size / 1e6:.3g} MB are needed: make room, or write to another disk'
    elif error.errno in _NO_ACCESS:
        remedy = 'the folder may not be written to: change its owner or mode, or choose another'
    elif error.errno in _WRONG_NAME:
        remedy = 'a folder has this name, or a file lies where its folder should be: choose another'
    else:
        remedy = 'check the disk'
    explained = type(error)(f'{path} could not be written ({error.strerror or error}); {remedy}')
    explained.errno = error.errno
    return explained


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system lets folders be synchronised."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def output_file(text: str) -> Path:
    """The path of a file to write, as the type of an option; folders above it may be missing.

    Raises:
        ArgumentTypeError: it is a folder, or lies below a file.
    """
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"'{text}' is a folder; name a file")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ArgumentTypeError(f"'{text}': {above} is a file and no folder; choose another place")
    return path


def check_writable(path: Path) -> None:
    """Check before a long run that a file can be written, and make its folder.

    Raises:
        OSError: it cannot; the message names the file and the remedy.
    """
    if _is_stream(path):
        return
    probe = path.with_name(f'{path.name}.{os.getpid()}{PARTIAL_SUFFIX}')
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
    """Sorting key that puts 'frame10' behind 'frame9'."""
    parts = re.split(r'(\d+)', name.lower())
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]
