"""Downloads files once into a cache: aside first, continued where it broke off, checked by hash."""

import contextlib
import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

# Overrides the cache folder, like XDG_CACHE_HOME for all programs.
CACHE_VARIABLE = 'AXIALVS_CACHE'

_TIMEOUT = 30  # seconds without a byte
_BLOCK = 1 << 20  # bytes
# Published checkpoints end in a dash and the first eight digits of their SHA-256.
_HASH_IN_NAME = re.compile(r'-([0-9a-f]{8})\.\w+$')


class DownloadError(RuntimeError):
    """A file could not be had from the network, or is not the one that was asked for."""


def cache_folder() -> Path:
    """Where downloads are kept: $AXIALVS_CACHE, else axialvs in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'axialvs'


def hash_in_name(name: str) -> str | None:
    """The start of the SHA-256 that a published file's name promises, if it has one."""
    found = _HASH_IN_NAME.search(name)
    return found.group(1) if found else None


def download(url: str, folder: Path | None = None, sha256: str | None = None) -> Path:
    """Returns a file in the cache, fetched if it is not there yet.

    It arrives as `NAME.partial`, which a later call continues, and takes its name when it is whole
    and its hash is right.

    Args:
        url: http, https or file address; its last part names the file.
        folder: Where to keep it; `cache_folder()/checkpoints` by default.
        sha256: Its SHA-256 or the first digits of it; taken from the name where that has one.

    Raises:
        DownloadError: It cannot be had, or its hash is another; the message names the address.
    """
    folder = folder or cache_folder() / 'checkpoints'
    name = unquote(urlsplit(url).path.rpartition('/')[-1])
    target = folder / name
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'{name}.partial')
    with _locked(target.with_name(f'{name}.lock')):
        if target.is_file():  # another process was faster
            return target
        try:
            _fetch(url, partial)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DownloadError(f'{url} could not be downloaded ({_cause(error)})') from error
        _check_hash(url, partial, sha256 or hash_in_name(name))
        os.replace(partial, target)
    return target


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
    """Appends to the partial file what it lacks; starts anew where the server cannot continue."""
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
            ) as bar,
        ):
            while block := response.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if expected is not None and partial.stat().st_size != expected:
        raise OSError(f'broke off after {partial.stat().st_size} of {expected} bytes')
    return None


def _check_hash(url: str, partial: Path, promised: str | None) -> None:
    """Sets a file of another hash aside, so that it is neither used nor continued."""
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
