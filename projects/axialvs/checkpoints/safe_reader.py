"""Read files of `torch.save`, zip archives and the legacy format, without executing code in them.

Sizes are limited by the size of the file. Members of an archive must be uncompressed, and their
checksums are verified. Pickles are read by `restricted_unpickler`.
"""

import io
import sys
import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO

from axialvs.checkpoints.pickled_values import BrokenFileError, RefusedError, Storage, finish
from axialvs.checkpoints.restricted_unpickler import RestrictedUnpickler

_BLOCK = 1 << 20  # bytes read at a time
_PICKLE_NAME = 'data.pkl'

# The first pickles of a file in the legacy format (torch < 1.6).
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read_file(path: Path, with_data: bool = True) -> Any:
    """Read a file of `torch.save` into tensors on the CPU, numpy arrays and plain values.

    Args:
        path: zip archive, or a file in the legacy format.
        with_data: False only checks the file; its tensors are on the device 'meta'.

    Raises:
        RefusedError: if it references a global that is not allowed.
        BrokenFileError: if it is truncated, corrupted, or not a file of `torch.save`.
        OSError: if it cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            if zipfile.is_zipfile(file):
                return _read_archive(file, with_data)
            file.seek(0)
            return _read_legacy(file, with_data)
    except (RefusedError, BrokenFileError, OSError, MemoryError):
        raise
    except Exception as error:  # a corrupted pickle can raise anything
        raise BrokenFileError(str(error) or type(error).__name__) from error


def _read_archive(file: BinaryIO, with_data: bool) -> Any:
    with zipfile.ZipFile(file) as archive:
        size = file.seek(0, io.SEEK_END)
        members = _members(archive, size)
        if _PICKLE_NAME not in members:
            raise BrokenFileError('it is not an archive of torch.save')
        order = members.get('byteorder')
        if order and order.file_size < 16 and archive.read(order) not in (b'little', b''):
            raise BrokenFileError('it was written on a big-endian machine')
        read: dict[str, Storage] = {}

        def storage(key: str, _: int) -> Storage:
            if key not in read:
                member = members.get(f'data/{key}')
                if member is None:
                    raise BrokenFileError(f'storage {key} is missing')
                read[key] = _read_member(archive, member, with_data)
            return read[key]

        pickled = io.BytesIO(archive.read(members[_PICKLE_NAME]))
        unpickler = RestrictedUnpickler(pickled, storage, size)
        content = finish(unpickler.load(), {})
        unpickler.clean_bools()
        for key, member in members.items():  # also verify members that no tensor refers to
            if key.removeprefix('data/') not in read and key != _PICKLE_NAME:
                _read_member(archive, member, with_data=False)
        return content


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Map the names of members, without torch's top folder, to their entries."""
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise BrokenFileError(f'{member.filename} is compressed, which torch.save does not do')
        total += member.file_size
        name = member.filename.partition('/')[2]
        if name in members or total > size:
            raise BrokenFileError(f'{member.filename} overlaps with another member')
        members[name] = member
    return members


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, with_data: bool) -> Storage:
    """Read a member; zipfile verifies its checksum at the end."""
    storage = Storage.allocate(member.file_size, with_data)
    with archive.open(member) as stream:
        _fill(stream, storage)
    return storage


class _Bounded:
    """File wrapper that never allocates more than the remaining bytes on `read`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self.size))

    def readline(self) -> bytes:
        return self._file.readline()


def _read_legacy(file: BinaryIO, with_data: bool) -> Any:
    """Read the format of torch < 1.6: several pickles, followed by the storages."""
    bounded = _Bounded(file)
    declared: dict[str, Storage] = {}
    left = bounded.size

    def storage(key: str, nbytes: int) -> Storage:
        nonlocal left
        if key not in declared:
            left -= nbytes
            if left < 0:
                raise BrokenFileError('it declares more data than it has')
            declared[key] = Storage.allocate(nbytes, with_data)
        return declared[key]

    def unpickler() -> RestrictedUnpickler:
        return RestrictedUnpickler(bounded, storage, bounded.size)

    if unpickler().load() != _LEGACY_MAGIC or unpickler().load() != _LEGACY_PROTOCOL:
        raise BrokenFileError('it was not written by torch.save')
    unpickler().load()  # system info: sizes of C types
    of_content = unpickler()
    content = of_content.load()
    keys = unpickler().load()
    plain = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not plain or set(keys) != set(declared):
        raise BrokenFileError('its storages are not those that it declares')
    for key in keys:  # number of elements and bytes of each
        numel, nbytes = int.from_bytes(file.read(8), sys.byteorder), declared[key].nbytes
        if nbytes % numel if numel else nbytes:
            raise BrokenFileError(f'a storage has {numel} elements in {nbytes} bytes')
        _fill(file, declared[key])
    of_content.clean_bools()
    return finish(content, {})


def _fill(stream: IO[bytes], storage: Storage) -> None:
    """Read the bytes of a storage block by block; discard them if data is not loaded."""
    view = memoryview(storage.data.numpy()) if storage.data is not None else None
    for start in range(0, storage.nbytes, _BLOCK):
        size = min(_BLOCK, storage.nbytes - start)
        block = stream.read(size)
        if len(block) != size:
            raise BrokenFileError('it is cut off')
        if view is not None:
            view[start : start + size] = block
