"""A local file backend of mmengine whose files appear whole or not at all."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

ATOMIC_BACKEND = 'atomic'

# Of a file that is being written; what a killed process leaves behind carries it for good.
PARTIAL_SUFFIX = '.partial'


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file aside, waits until it is on the disk and gives it its name.

    A process that dies at any point leaves the old file, or none, under the name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    with open(partial, 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system lets folders be synchronised."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AtomicLocalBackend(LocalBackend):
    """mmengine's local backend, but for how it writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes aside and renames them."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text aside and renames it."""
        write_atomically(filepath, obj.encode(encoding))


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)
