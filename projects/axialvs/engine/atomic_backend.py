"""A local file backend of mmengine whose files appear whole or not at all."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from axialvs.atomic_files import write_atomically

ATOMIC_BACKEND = 'atomic'


class AtomicLocalBackend(LocalBackend):
    """mmengine's local backend, but for how it writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes aside and renames them."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text aside and renames it."""
        write_atomically(filepath, obj.encode(encoding))


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)
