"""Download checkpoints into a cache, with resume, file locks and hash checks."""

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

_TIMEOUT = 30  # seconds without data
_BLOCK = 1 << 20  # bytes
_CHECKPOINT_STARTS = (b'PK\x03\x04', b'\x80')  # zip archive, or pickle of torch < 1.6
# Published file names end in a dash and the first eight digits of their SHA-256.
_HASH_IN_NAME = re.compile(r'-([0-9a-f]{8})\.\w+$')


class DownloadError(AxialVSError):
    """A file cannot be downloaded, or is not the expected file."""


def cache_folder() -> Path:
    """Return the download folder: $AXIALVS_CACHE, else axialvs in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'axialvs'


def hash_in_name(name: str) -> str | None:
    """Return the SHA-256 prefix in a published file's name, if there is one."""
    found = _HASH_IN_NAME.search(name)
    return found.group(1) if found else None


def cached_path(url: str, folder: Path | None = None) -> Path:
    """Return the path of a file in the cache.

    A name that ends in a hash identifies the file. Other names, such as `iter_1000.pth`, are
    ambiguous and get a folder for each URL.

    Args:
        url: URL; its last part is the file name.
        folder: `cache_folder()/checkpoints` by default.
    """
    folder = folder or cache_folder() / 'checkpoints'
    name = unquote(urlsplit(url).path.rpartition('/')[-1]).replace('/', '_') or 'checkpoint'
    if hash_in_name(name):
        return folder / name
    return folder / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def download(url: str, folder: Path | None = None, sha256: str | None = None) -> Path:
    """Return a file in the cache, downloading it if needed.

    The download is written to `NAME.partial`, which a later call resumes, and renamed when it is
    complete, looks like a checkpoint and has the expected hash.

    Args:
        url: http, https or file URL.
        folder: cache folder, see `cached_path`.
        sha256: SHA-256 or its first digits; by default those in the file name.

    Raises:
        DownloadError: if it cannot be downloaded, or is not the expected file.
    """
    target = cached_path(url, folder)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'{target.name}.partial')
    with _locked(target.with_name(f'{target.name}.lock')):
        if target.is_file():  # downloaded by another process in the meantime
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
    """Delete a file that is not a checkpoint, such as an error or login page."""
    with open(partial, 'rb') as file:
        start = file.read(60)
    if start.startswith(_CHECKPOINT_STARTS):
        return
    partial.unlink()
    raise DownloadError(
        f'{url} is not a checkpoint, but begins with {start!r}; open it in a browser, download the '
        'file and use its path'
    )


def _check_whole(url: str, partial: Path) -> None:
    """Delete an archive that is truncated, mixed from two file versions, or not a checkpoint.

    Servers may not send the length of a file. Pickles of torch < 1.6 have no checksums.
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
        f'{url} is corrupted or is not an archive of a checkpoint; try again, or download it '
        'elsewhere and use its path'
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock; the processes of a distributed run share the cache."""
    if fcntl is None:
        yield
        return
    with open(path, 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(url: str, partial: Path) -> None:
    """Resume the partial file, or restart if the server does not support resuming."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={'User-Agent': 'axialvs'})
    if have:
        request.add_header('Range', f'bytes={have}-')
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # already complete, or the file has changed
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
        raise OSError(f'connection closed after {partial.stat().st_size} of {expected} bytes')
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
        f'{url} has SHA-256 {digest}, not {promised}...: it is corrupted or was changed. '
        f'It was kept as {unverified} for inspection; delete it and try again'
    )


def _cause(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f'HTTP status {error.code}'
    return str(getattr(error, 'reason', None) or error or type(error).__name__)
