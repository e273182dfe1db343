"""Downloading checkpoints once into a cache: resumed, locked and checked."""

import contextlib
import hashlib
import http.client
import os
import re
import struct
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from axialvs.utils.errors import AxialVSError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

# Environment variable that overrides the cache folder.
CACHE_VARIABLE = 'AXIALVS_CACHE'

_TIMEOUT = 30  # seconds without a byte
_BLOCK = 1 << 20  # bytes
_CHECKPOINT_STARTS = (b'PK\x03\x04', b'\x80')  # a zip archive, or the pickles before torch 1.6
# Published checkpoints end in a dash and the first eight digits of their SHA-256.
_HASH_IN_NAME = re.compile(r'-([0-9a-f]{8})\.\w+$')


class DownloadError(AxialVSError):
    """A file cannot be downloaded, or is not the expected one."""


def cache_folder() -> Path:
    """Return the folder of downloads: $AXIALVS_CACHE, else axialvs in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'axialvs'


def hash_in_name(name: str) -> str | None:
    """Return the start of the SHA-256 in a published file's name, if there is one."""
    found = _HASH_IN_NAME.search(name)
    return found.group(1) if found else None


def cached_path(url: str, folder: Path | None = None) -> Path:
    """Return where `download` keeps a file.

    A name that ends in its hash says what the file is. Other names, such as `iter_1000.pth`, are
    used by many files and get a folder for each address.

    Args:
        url: address; its last part names the file.
        folder: `cache_folder()/checkpoints` by default.
    """
    folder = folder or cache_folder() / 'checkpoints'
    name = unquote(urlsplit(url).path.rpartition('/')[-1]).replace('/', '_') or 'checkpoint'
    if hash_in_name(name):
        return folder / name
    return folder / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def download(url: str, folder: Path | None = None, sha256: str | None = None) -> Path:
    """Return a file in the cache, downloaded if it is not there yet.

    It arrives as `NAME.partial`, which a later call continues, and is renamed when it is complete
    and looks like a checkpoint with the right hash.

    Args:
        url: http, https or file address.
        folder: where to keep it, see `cached_path`.
        sha256: its SHA-256 or the first digits of it; by default those in its name.

    Raises:
        DownloadError: if it cannot be downloaded, or is not the file that was asked for.
    """
    target = cached_path(url, folder)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'{target.name}.partial')
    with _locked(target.with_name(f'{target.name}.lock')):
        if target.is_file():  # a different process was faster
            return target
        try:
            _fetch(url, partial)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DownloadError(f'{url} could not be downloaded ({_cause(error)})') from error
        promised = sha256 or hash_in_name(target.name)
        _check_hash(url, partial, promised)
        _check_kind(url, partial)
        if promised is None:
            _check_whole(url, partial)
        os.replace(partial, target)
    return target


def _check_kind(url: str, partial: Path) -> None:
    """Delete a file that `torch.save` did not write, such as an error or login page."""
    with open(partial, 'rb') as file:
        start = file.read(60)
    if start.startswith(_CHECKPOINT_STARTS):
        return
    partial.unlink()
    raise DownloadError(
        f'{url} does not lead to a checkpoint but to {start!r}; open it in a browser, download the '
        'file and use its path'
    )


def _check_whole(url: str, partial: Path) -> None:
    """Delete an archive that was cut off, continued with parts of a newer file, or no checkpoint.

    Servers need not tell a file's length. Pickles from before torch 1.6 have no checksums.
    """
    with open(partial, 'rb') as file:
        if file.read(2) != b'PK':
            return
    try:
        with zipfile.ZipFile(partial) as archive:
            is_checkpoint = any(name.endswith('/data.pkl') for name in archive.namelist())
            if is_checkpoint and archive.testzip() is None:
                return
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError):
        pass
    partial.unlink()
    raise DownloadError(
        f'{url} arrived damaged or is an archive of something else; try again, or download it '
        'elsewhere and use its path'
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lets one process at a time through; the processes of a distributed run share a cache."""
    if fcntl is None:
        yield
        return
    with open(path, 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(url: str, partial: Path) -> None:
    """Continue the partial file, or start again if the server cannot continue."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={'User-Agent': 'axialvs'})
    if have:
        request.add_header('Range', f'bytes={have}-')
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing is left to fetch, or the file has changed
            partial.unlink()
            return _fetch(url, partial)
        raise
    with response:
        continued = getattr(response, 'status', None) == 206
        left = response.headers.get('Content-Length')
        expected = None if left is None else int(left) + (have if continued else 0)
        with (
            open(partial, 'ab' if continued else 'wb') as file,
            tqdm(
                total=expected,
                initial=have if continued else 0,
                unit='B',
                unit_scale=True,
                desc=partial.stem,
                file=sys.stderr,
                disable=None,  # only on a terminal
            ) as bar,
        ):
            while block := response.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if expected is not None and partial.stat().st_size != expected:
        raise OSError(f'broke off after {partial.stat().st_size} of {expected} bytes')
    return None


def _check_hash(url: str, partial: Path, promised: str | None) -> None:
    """Quarantine a file whose hash does not match."""
    if promised is None:
        return
    with open(partial, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    if digest.startswith(promised.lower()):
        return
    unverified = partial.with_suffix('.unverified')
    os.replace(partial, unverified)
    raise DownloadError(
        f'{url} has SHA-256 {digest}, not {promised}...: it is damaged or was changed. '
        f'It was kept as {unverified}, to be looked at; delete it and try again'
    )


def _cause(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f'HTTP status {error.code}'
    return str(getattr(error, 'reason', None) or error or type(error).__name__)
