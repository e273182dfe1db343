"""Safe replacements for the globals in a pickle of `torch.save`, which check their arguments.

No function that a file references is called. Each name in `KNOWN` is mapped to a replacement in
this module; all other names are rejected.
"""

import math
import pickle
from collections import Counter
from collections.abc import Iterable
from reprlib import repr as shown
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

_KEY_BITS = 60  # hashes of larger integers collide, and dicts with collisions are quadratic

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


class RefusedError(pickle.UnpicklingError):
    """A file references a global that is not allowed."""


class BrokenFileError(Exception):
    """A file is corrupted, or its declared sizes are wrong."""


class Storage(NamedTuple):
    """Memory of one or several tensors; only its size if data is not loaded."""

    data: Tensor | None
    nbytes: int

    @classmethod
    def allocate(cls, nbytes: int, with_data: bool) -> 'Storage':
        """Allocate a storage to be filled later."""
        return cls(torch.empty(nbytes, dtype=torch.uint8) if with_data else None, nbytes)


class _Type:
    """Placeholder for a type that is an argument in a file."""


class Array:
    """Placeholder for a numpy array, which is built once, from its own bytes."""

    def __init__(self, *args: Any) -> None:
        self.value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Set shape, dtype and values."""
        if self.value is not None or not isinstance(state, tuple) or len(state) != 5:
            raise BrokenFileError('an array is built wrongly')
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, DType) or not isinstance(data, bytes):
            raise RefusedError('numpy array of objects')
        if not isinstance(shape, tuple) or not all(is_size(n) for n in shape):
            raise BrokenFileError(f'an array has shape {shown(shape)}')
        if math.prod(shape) * dtype.value.itemsize != len(data):
            raise BrokenFileError(f'an array of shape {shape} has {len(data)} bytes')
        flat = np.frombuffer(data, dtype.value)
        if dtype.value.kind == 'b':  # only the bytes 0 and 1 are valid bools
            flat = np.frombuffer(data, np.uint8) != 0
        self.value = flat.reshape(shape, order='F' if is_fortran else 'C').copy()


class DType:
    """Placeholder for a plain numeric numpy dtype."""

    def __init__(self, name: Any) -> None:
        if type(name) is not str or name not in _ARRAY_DTYPES:
            raise RefusedError(f'numpy type {shown(name)}')
        self.value = np.dtype(name)

    def build(self, state: Any) -> None:
        """Set the byte order, the only variable part of a numeric dtype's state."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ('<', '>', '|', '='):
            raise RefusedError('numpy type of its own')
        self.value = self.value.newbyteorder(state[1])


class History:
    """Placeholder for mmengine's `HistoryBuffer`."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def build(self, state: Any) -> None:
        """Set the fields, checked by `buffer`."""
        if not isinstance(state, dict):
            raise BrokenFileError('a log history has an invalid state')
        self.state = state

    def buffer(self) -> HistoryBuffer:
        """Return the history."""
        log, count = (_numbers(self.state.get(key)) for key in ('_log_history', '_count_history'))
        length = self.state.get('max_length')
        if log is None or count is None or len(log) != len(count) or not is_size(length):
            raise BrokenFileError('a log history has no numbers')
        buffer = HistoryBuffer(max_length=length)
        # The constructor copies; many histories may share an array here.
        buffer._log_history, buffer._count_history = log, count
        return buffer


def _numbers(value: Any) -> np.ndarray | None:
    value = value.value if isinstance(value, Array) else value
    return value if isinstance(value, np.ndarray) and value.ndim == 1 else None


def is_size(value: Any) -> bool:
    """Return whether a value is a valid number of bytes or elements."""
    return type(value) is int and 0 <= value < 1 << 48


def _encode(text: Any, encoding: Any) -> bytes:
    """Encode text: pickles of protocol 2 store bytes as Latin-1 text."""
    if type(text) is not str or encoding != 'latin1':
        raise RefusedError(f'encoding {shown(encoding)}')
    return text.encode('latin1')


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, DType) or type(data) is not bytes:
        raise RefusedError('numpy scalar of objects')
    if len(data) != dtype.value.itemsize:
        raise BrokenFileError(f'a number has {len(data)} bytes')
    return np.frombuffer(data, dtype.value)[0].item()


def _history_statistic(owner: Any, name: Any) -> None:
    """Ignore the statistics methods in old log histories; new ones define them."""
    if owner is not History or type(name) is not str or name not in _HISTORY_STATISTICS:
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
            check_keys(pair[:1])
    return dict(items)


def check_tuple(value: Any) -> tuple:
    """Check arguments; unpacking a tensor, for instance, would create one tensor per element."""
    check_type(value, tuple)
    return value


def check_type(value: Any, kind: type) -> None:
    """Raise an error if a value has a different type."""
    if not isinstance(value, kind):
        raise BrokenFileError(f'a {type(value).__name__} is not a {kind.__name__}')


KNOWN: dict[str, Any] = {
    'collections.OrderedDict': _pairs,
    'collections.Counter': lambda counts=(): Counter(_pairs(counts)),
    'torch._utils._rebuild_parameter': lambda data, *_: data,
    'torch._utils._rebuild_parameter_with_state': lambda data, *_: data,
    'torch.Size': lambda items=(): tuple(_items(items)),
    'torch.device': lambda *_: 'cpu',
    'torch.Tensor': _Type(),
    'torch.nn.parameter.Parameter': _Type(),
    '_codecs.encode': _encode,
    'numpy.ndarray': _Type(),
    'numpy.dtype': lambda name, *_: DType(name),
    'mmengine.logging.history_buffer.HistoryBuffer': History,
}
for _name, _dtype in _STORAGE_DTYPES.items():
    KNOWN[f'torch.{_name}'] = KNOWN[f'torch.storage.{_name}'] = KNOWN[str(_dtype)] = _dtype
for _core in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    KNOWN[f'{_core}._reconstruct'] = Array
    KNOWN[f'{_core}.scalar'] = _scalar
for _builtins in ('builtins', '__builtin__'):
    KNOWN[f'{_builtins}.getattr'] = _history_statistic
    KNOWN[f'{_builtins}.slice'] = _slice
    KNOWN[f'{_builtins}.bytes'] = lambda: b''


_OPEN = object()  # marks a tuple whose items are being processed


def finish(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """Replace the placeholders of arrays and histories by their values.

    Containers are changed in place and visited once, so they may have reference cycles.

    Args:
        value: output of the unpickler.
        done: results by id, with the originals, which must stay alive to keep their ids unique.
    """
    if id(value) in done:
        if done[id(value)][1] is _OPEN:
            raise BrokenFileError('a tuple contains itself')
        return done[id(value)][1]
    if isinstance(value, dict):
        done[id(value)] = value, value
        for key in value:
            value[key] = finish(value[key], done)
    elif isinstance(value, list):
        done[id(value)] = value, value
        value[:] = [finish(item, done) for item in value]
    elif type(value) is tuple:
        done[id(value)] = value, _OPEN
        done[id(value)] = value, tuple([finish(item, done) for item in value])
    elif isinstance(value, History):
        done[id(value)] = value, value.buffer()
    elif isinstance(value, Array):
        if value.value is None:
            raise BrokenFileError('an array is built wrongly')
        done[id(value)] = value, value.value
    elif isinstance(value, DType | _Type | Storage) or callable(value):
        raise RefusedError(f'{type(value).__name__} as a value')
    return done[id(value)][1] if id(value) in done else value


def check_keys(keys: Iterable[Any]) -> None:
    """Check keys of dicts and sets: plain values, or tuples of these."""
    for key in keys:
        for part in key if type(key) is tuple else (key,):
            if not isinstance(part, str | int | float | bytes | None):
                raise RefusedError(f'{type(part).__name__} as a key')
            if isinstance(part, int) and part.bit_length() > _KEY_BITS:
                raise BrokenFileError('a number as a key is too large')
