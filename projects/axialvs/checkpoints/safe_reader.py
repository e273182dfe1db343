"""Read files of `torch.save` without calling anything that they name.

torch's own weights-only reader believes the sizes that a file declares and lets an allow-list call
functions of other libraries with arguments of the file's choice. This reader has its own list: each
name in it is mapped to a function or marker of this module that checks its arguments. Sizes are
bounded by the file, members of a zip archive must be stored as they are, and their checksums are
compared.
"""

import io
import math
import pickle
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from reprlib import repr as shown
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

_BLOCK = 1 << 20  # bytes read at a time
# Bytes of all tensors together; tied weights and repeated numbers take none in the file.
_MAX_BYTES = 1 << 32
_MAX_ALIASES = 8  # and as many times the file in addition
_MIN_WORK = 1 << 20  # bytes that calls may copy, and as many times the file in addition
_ITEM = 16  # bytes of an item in a container
_MAX_DIMS = 32
_KEY_BITS = 60  # Python's hashes of larger numbers repeat, and many equal ones take forever
_PICKLE_NAME = 'data.pkl'

# The first pickles of a file that torch wrote before it wrote zip archives.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_STORAGE_DTYPES = {
    'DoubleStorage': torch.float64,
    'FloatStorage': torch.float32,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'LongStorage': torch.int64,
    'IntStorage': torch.int32,
    'ShortStorage': torch.int16,
    'CharStorage': torch.int8,
    'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool,
    'ComplexFloatStorage': torch.complex64,
    'ComplexDoubleStorage': torch.complex128,
    'UntypedStorage': torch.uint8,
}
_ARRAY_DTYPES = frozenset(
    ['b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8', 'c8', 'c16']
)
_HISTORY_STATISTICS = frozenset(('min', 'max', 'current', 'mean'))

# Opcodes that read no more than the file has and call no more than `find_class` returned.
_OPCODES = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
    BINUNICODE SHORT_BINUNICODE BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE
    TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET
    ADDITEMS BINGET LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD
    BINPERSID
""".split()  # noqa: SIM905


class RefusedError(pickle.UnpicklingError):
    """A file names something that is not on the list."""


class BrokenFileError(Exception):
    """A file is damaged, or declares what it does not have."""


def read_file(path: Path, with_data: bool = True) -> Any:
    """Read a file of `torch.save` into tensors on the CPU, numpy arrays and plain values.

    Args:
        path: zip archive, or a file in the format before it.
        with_data: False only checks the file; its tensors are on the device 'meta'.

    Raises:
        RefusedError: if it names something that is not on the list.
        BrokenFileError: if it is cut off, damaged, or no such file.
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
    except Exception as error:  # damaged bytes can make a pickle fail in any way
        raise BrokenFileError(str(error) or type(error).__name__) from error


class _Storage(NamedTuple):
    """The bytes behind one or several tensors; without data, only their number."""

    data: Tensor | None
    nbytes: int


class _Marker(NamedTuple):
    """Take the place of a type that a file names as an argument."""

    name: str


class _Array:
    """Become a numpy array: built once, from its own bytes."""

    def __init__(self, *args: Any) -> None:
        self.value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        if self.value is not None or not isinstance(state, tuple) or len(state) != 5:
            raise BrokenFileError('an array is built wrongly')
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise RefusedError('numpy array of objects')
        if not isinstance(shape, tuple) or not all(_is_size(n) for n in shape):
            raise BrokenFileError(f'an array has shape {shown(shape)}')
        if math.prod(shape) * dtype.value.itemsize != len(data):
            raise BrokenFileError(f'an array of shape {shape} has {len(data)} bytes')
        flat = np.frombuffer(data, dtype.value)
        if dtype.value.kind == 'b':  # other bytes than 0 and 1 are no valid bools
            flat = np.frombuffer(data, np.uint8) != 0
        self.value = flat.reshape(shape, order='F' if is_fortran else 'C').copy()


class _DType:
    """Become a plain numeric numpy type."""

    def __init__(self, name: Any) -> None:
        if type(name) is not str or name not in _ARRAY_DTYPES:
            raise RefusedError(f'numpy type {shown(name)}')
        self.value = np.dtype(name)

    def build(self, state: Any) -> None:
        """Set the byte order, the only part of a numeric type's state that may differ."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ('<', '>', '|', '='):
            raise RefusedError('numpy type of its own')
        self.value = self.value.newbyteorder(state[1])


class _History:
    """Become one of mmengine's log histories."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def build(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise BrokenFileError('a log history is built wrongly')
        self.state = state

    def buffer(self) -> HistoryBuffer:
        log, count = (_numbers(self.state.get(key)) for key in ('_log_history', '_count_history'))
        length = self.state.get('max_length')
        if log is None or count is None or len(log) != len(count) or not _is_size(length):
            raise BrokenFileError('a log history has no numbers')
        buffer = HistoryBuffer(max_length=length)
        # Its constructor copies; many histories may share an array here.
        buffer._log_history, buffer._count_history = log, count
        return buffer


def _numbers(value: Any) -> np.ndarray | None:
    value = value.value if isinstance(value, _Array) else value
    return value if isinstance(value, np.ndarray) and value.ndim == 1 else None


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Python's own unpickler in Python, with fewer opcodes and a list of what it may call.

    Args:
        file: has `read` and `readline`.
        storage: maps (key, type, number of elements) to a storage.
        size: bytes of the whole file.
    """

    dispatch = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in _OPCODES
    }

    def __init__(self, file: Any, storage: Callable[..., _Storage], size: int) -> None:
        super().__init__(file, encoding='utf-8')
        self._storage = storage
        self._left = _MAX_BYTES + size * _MAX_ALIASES
        self._work = _MIN_WORK + size * _MAX_ALIASES
        self.bools: list[Tensor] = []
        rebuild = self._rebuild_tensor
        self._known = {
            **_KNOWN,
            'torch._utils._rebuild_tensor': rebuild,
            'torch._utils._rebuild_tensor_v2': rebuild,
            'torch._tensor._rebuild_from_type_v2': lambda _, kind, arguments, state: rebuild(
                *_tuple(arguments)
            ),
        }

    def find_class(self, module: str, name: str) -> Any:
        full = f'{module}.{name}'
        if full not in self._known:
            raise RefusedError(full)
        return self._known[full]

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        self._count_work(state)
        if isinstance(target, _Array | _DType | _History):
            target.build(state)
        elif type(target) is not dict:  # the metadata of a state dict is left out
            raise RefusedError(f'state of {type(target).__name__}')

    dispatch[pickle.BUILD[0]] = load_build

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        kind = self.stack.pop()
        if kind is not _History or _tuple(arguments):
            raise RefusedError(f'new {shown(kind)}')
        self.append(_History())

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is known for known in self._known.values()):
            raise RefusedError(f'call of {type(function).__name__}')
        self._count_work(arguments)
        self.stack[-1] = function(*_tuple(arguments))

    dispatch[pickle.REDUCE[0]] = load_reduce

    # Keys are checked before they are hashed, which for nested tuples can take forever or all of
    # the stack. Within a mark, `self.stack` holds the new items and `metastack` what is below.
    def load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        _check_type(self.stack[-3], dict)
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        _check_type(self.metastack[-1][-1], dict)
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self) -> None:
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict

    def load_additems(self) -> None:
        _check_keys(self.stack)
        _check_type(self.metastack[-1][-1], set)
        super().load_additems()

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def _count_work(self, arguments: Any) -> None:
        """Bound the copies that calls make: a short call can name the same long text again."""
        for value in arguments if isinstance(arguments, tuple) else (arguments,):
            if isinstance(value, str | bytes):
                self._work -= len(value)
            elif isinstance(value, list | tuple | dict):
                self._work -= _ITEM * len(value)
        if self._work < 0:
            raise BrokenFileError('it copies many times more than it has')

    def clean_bools(self) -> None:
        """Make bytes of bool tensors 0 or 1, as no others are valid, once all data is read."""
        for data in self.bools:
            data.clamp_(max=1)

    def persistent_load(self, key: Any) -> tuple[_Storage, torch.dtype]:
        if not isinstance(key, tuple) or len(key) not in (5, 6) or key[0] != 'storage':
            raise BrokenFileError('it refers to what is no storage')
        _, kind, name, _, numel = key[:5]
        if not isinstance(kind, torch.dtype) or not isinstance(name, str) or not _is_size(numel):
            raise BrokenFileError('it refers to what is no storage')
        storage = self._storage(name, numel * kind.itemsize)
        if numel * kind.itemsize > storage.nbytes:
            raise BrokenFileError(f'storage {name} has fewer bytes than declared')
        if kind is torch.bool and storage.data is not None:
            self.bools.append(storage.data)
        return storage, kind

    def _rebuild_tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
        if not isinstance(storage, tuple) or not isinstance(storage[0], _Storage):
            raise BrokenFileError('a tensor has no storage')
        (data, nbytes), dtype = storage
        numel = nbytes // dtype.itemsize
        plain = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
        if not plain or len(size) > _MAX_DIMS or not all(map(_is_size, (offset, *size, *stride))):
            raise BrokenFileError(f'a tensor has size {shown(size)}, stride {shown(stride)}')
        wanted = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if wanted and last >= numel:
            raise BrokenFileError(f'a tensor of size {size} does not fit its {numel} elements')
        self._left -= wanted * dtype.itemsize
        if self._left < 0:
            raise BrokenFileError('its tensors are many times larger than the file')
        if data is None or not wanted:
            device = 'meta' if data is None else 'cpu'
            return torch.empty_strided(size, stride, dtype=dtype, device=device)
        flat = data[: numel * dtype.itemsize].view(dtype)
        return flat.as_strided(size, stride, offset)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _encode(text: Any, encoding: Any) -> bytes:
    """Python 3 writes bytes in pickles of protocol 2 as text to encode."""
    if type(text) is not str or encoding != 'latin1':
        raise RefusedError(f'encoding {shown(encoding)}')
    return text.encode('latin1')


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, _DType) or type(data) is not bytes:
        raise RefusedError('numpy scalar of objects')
    if len(data) != dtype.value.itemsize:
        raise BrokenFileError(f'a number has {len(data)} bytes')
    return np.frombuffer(data, dtype.value)[0].item()


def _history_statistic(owner: Any, name: Any) -> None:
    """Old log histories name their own statistics, which new ones have by themselves."""
    if owner is not _History or type(name) is not str or name not in _HISTORY_STATISTICS:
        raise RefusedError(f'getattr({shown(owner)}, {shown(name)})')


def _slice(*bounds: Any) -> slice:
    if len(bounds) > 3 or not all(x is None or type(x) is int for x in bounds):
        raise RefusedError('slice of objects')
    return slice(*bounds)


def _items(items: Any = ()) -> Any:
    if not isinstance(items, list | tuple | dict):
        raise BrokenFileError('a container is built wrongly')
    return items


def _pairs(items: Any = ()) -> dict:
    if not isinstance(_items(items), dict):
        for pair in items:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise BrokenFileError('a container is built wrongly')
            _check_keys(pair[:1])
    return dict(items)


def _tuple(value: Any) -> tuple:
    """Check arguments; a tensor, for instance, would become as many as it has elements."""
    _check_type(value, tuple)
    return value


def _check_type(value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise BrokenFileError(f'a {type(value).__name__} is no {kind.__name__}')


_OPEN = object()  # a tuple whose items are being finished

_KNOWN: dict[str, Any] = {
    'collections.OrderedDict': _pairs,
    'collections.Counter': lambda counts=(): Counter(_pairs(counts)),
    'torch._utils._rebuild_parameter': lambda data, *_: data,
    'torch._utils._rebuild_parameter_with_state': lambda data, *_: data,
    'torch.Size': lambda items=(): tuple(_items(items)),
    'torch.device': lambda *_: 'cpu',
    'torch.Tensor': _Marker('Tensor'),
    'torch.nn.parameter.Parameter': _Marker('Parameter'),
    '_codecs.encode': _encode,
    'numpy.ndarray': _Marker('ndarray'),
    'numpy.dtype': lambda name, *_: _DType(name),
    'mmengine.logging.history_buffer.HistoryBuffer': _History,
}
for _name, _dtype in _STORAGE_DTYPES.items():
    _KNOWN[f'torch.{_name}'] = _KNOWN[f'torch.storage.{_name}'] = _KNOWN[str(_dtype)] = _dtype
for _core in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    _KNOWN[f'{_core}._reconstruct'] = _Array
    _KNOWN[f'{_core}.scalar'] = _scalar
for _builtins in ('builtins', '__builtin__'):
    _KNOWN[f'{_builtins}.getattr'] = _history_statistic
    _KNOWN[f'{_builtins}.slice'] = _slice
    _KNOWN[f'{_builtins}.bytes'] = lambda: b''


def _finish(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """Replace the markers of arrays and histories by what they became.

    Containers are changed in place and visited once, so that they may refer to one another.

    Args:
        value: what the unpickler made.
        done: results by id, with the originals, whose ids would be used again otherwise.
    """
    if id(value) in done:
        if done[id(value)][1] is _OPEN:
            raise BrokenFileError('a tuple contains itself')
        return done[id(value)][1]
    if isinstance(value, dict):
        done[id(value)] = value, value
        for key in value:
            value[key] = _finish(value[key], done)
    elif isinstance(value, list):
        done[id(value)] = value, value
        value[:] = [_finish(item, done) for item in value]
    elif type(value) is tuple:
        done[id(value)] = value, _OPEN
        done[id(value)] = value, tuple([_finish(item, done) for item in value])
    elif isinstance(value, _History):
        done[id(value)] = value, value.buffer()
    elif isinstance(value, _Array):
        if value.value is None:
            raise BrokenFileError('an array is built wrongly')
        done[id(value)] = value, value.value
    elif isinstance(value, _DType | _Marker | _Storage) or callable(value):
        raise RefusedError(f'{type(value).__name__} as a value')
    return done[id(value)][1] if id(value) in done else value


def _check_keys(keys: Iterable[Any]) -> None:
    """Check keys of dicts and sets: plain values, or tuples of these."""
    for key in keys:
        for part in key if type(key) is tuple else (key,):
            if not isinstance(part, str | int | float | bytes | None):
                raise RefusedError(f'{type(part).__name__} as a key')
            if isinstance(part, int) and part.bit_length() > _KEY_BITS:
                raise BrokenFileError('a number as a key is too large')


def _read_archive(file: BinaryIO, with_data: bool) -> Any:
    with zipfile.ZipFile(file) as archive:
        size = file.seek(0, io.SEEK_END)
        members = _members(archive, size)
        if _PICKLE_NAME not in members:
            raise BrokenFileError('it is an archive of something else')
        order = members.get('byteorder')
        if order and order.file_size < 16 and archive.read(order) not in (b'little', b''):
            raise BrokenFileError('it was written on a big-endian machine')
        read: dict[str, _Storage] = {}

        def storage(key: str, nbytes: int) -> _Storage:
            if key not in read:
                member = members.get(f'data/{key}')
                if member is None:
                    raise BrokenFileError(f'storage {key} is missing')
                read[key] = _read_member(archive, member, with_data)
            return read[key]

        pickled = io.BytesIO(archive.read(members[_PICKLE_NAME]))
        unpickler = _Unpickler(pickled, storage, size)
        content = _finish(unpickler.load(), {})
        unpickler.clean_bools()
        for key, member in members.items():  # what no tensor refers to may be damaged too
            if key.removeprefix('data/') not in read and key != _PICKLE_NAME:
                _read_member(archive, member, with_data=False)
        return content


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Map the members, without the folder that torch puts all in, to where they are."""
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


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, with_data: bool) -> _Storage:
    """Read a member block by block; zipfile compares its checksum at the end."""
    size = member.file_size
    data = torch.empty(size, dtype=torch.uint8) if with_data else None
    view = memoryview(data.numpy()) if data is not None else None
    position = 0
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK):
            if view is not None:
                view[position : position + len(block)] = block
            position += len(block)
    if position != size:
        raise BrokenFileError(f'{member.filename} is cut off')
    return _Storage(data, size)


class _Bounded:
    """A file that gives no more than it has, however much a pickle asks for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self.size))

    def readline(self) -> bytes:
        return self._file.readline()


def _read_legacy(file: BinaryIO, with_data: bool) -> Any:
    """Read the format before torch 1.6: pickles one after the other, then the storages."""
    bounded = _Bounded(file)
    declared: dict[str, _Storage] = {}
    left = bounded.size

    def storage(key: str, nbytes: int) -> _Storage:
        nonlocal left
        if key not in declared:
            left -= nbytes
            if left < 0:
                raise BrokenFileError('it declares more data than it has')
            data = torch.empty(nbytes, dtype=torch.uint8) if with_data else None
            declared[key] = _Storage(data, nbytes)
        return declared[key]

    def unpickler() -> _Unpickler:
        return _Unpickler(bounded, storage, bounded.size)

    if unpickler().load() != _LEGACY_MAGIC or unpickler().load() != _LEGACY_PROTOCOL:
        raise BrokenFileError('it was not written by torch.save')
    unpickler().load()  # sizes of the writing system's types
    of_content = unpickler()
    content = of_content.load()
    keys = unpickler().load()
    plain = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not plain or set(keys) != set(declared):
        raise BrokenFileError('its storages are not those that it declares')
    for key in keys:
        _fill(file, declared[key])
    of_content.clean_bools()
    return _finish(content, {})


def _fill(file: BinaryIO, storage: _Storage) -> None:
    """Read a storage's number of elements and its bytes."""
    numel = int.from_bytes(file.read(8), sys.byteorder)
    if not numel and not storage.nbytes:
        return
    if not numel or storage.nbytes % numel:
        raise BrokenFileError(f'a storage has {numel} elements in {storage.nbytes} bytes')
    view = memoryview(storage.data.numpy()) if storage.data is not None else None
    for start in _starts(storage.nbytes):
        block = file.read(min(_BLOCK, storage.nbytes - start))
        if len(block) != min(_BLOCK, storage.nbytes - start):
            raise BrokenFileError('it is cut off')
        if view is not None:
            view[start : start + len(block)] = block


def _starts(size: int) -> Iterator[int]:
    return iter(range(0, size, _BLOCK))
