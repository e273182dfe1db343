"""An unpickler that calls no function of other libraries and limits memory and work.

torch's weights-only unpickler trusts the sizes declared in a file and lets allow-listed functions
of other libraries be called with arbitrary arguments. This one only calls the replacements in
`pickled_values`, and limits tensors and copies by the size of the file.
"""

import math
import pickle
from collections.abc import Callable
from reprlib import repr as shown
from typing import Any

import torch
from torch import Tensor

from axialvs.checkpoints.pickled_values import (
    KNOWN,
    Array,
    BrokenFileError,
    DType,
    History,
    RefusedError,
    Storage,
    check_keys,
    check_tuple,
    check_type,
    is_size,
)

# Limit of the total size of tensors; tied and expanded tensors take no space in the file.
_MAX_BYTES = 1 << 32
_MAX_ALIASES = 8  # per byte of the file, added to both limits
_MIN_WORK = 1 << 20  # bytes that calls may copy
_ITEM = 16  # bytes per item in a container
_MAX_DIMS = 32

# Opcodes that do not read beyond the file and only call what `find_class` returns.
_OPCODES = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
    BINUNICODE SHORT_BINUNICODE BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE
    TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET
    ADDITEMS BINGET LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD
    BINPERSID
""".split()  # noqa: SIM905


class RestrictedUnpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """The standard library's pure-Python unpickler, restricted to safe opcodes and globals.

    Methods `load_*` override those of the base class for the opcode of their name.

    Args:
        file: file with `read` and `readline`.
        storage: maps (key, dtype, number of elements) to a storage.
        size: size of the whole file in bytes.
    """

    def __init__(self, file: Any, storage: Callable[..., Storage], size: int) -> None:
        super().__init__(file, encoding='utf-8')
        self._storage = storage
        self._left = _MAX_BYTES + size * _MAX_ALIASES
        self._work = _MIN_WORK + size * _MAX_ALIASES
        self.bools: list[Tensor] = []
        rebuild = self._rebuild_tensor
        self._known = {
            **KNOWN,
            'torch._utils._rebuild_tensor': rebuild,
            'torch._utils._rebuild_tensor_v2': rebuild,
            'torch._tensor._rebuild_from_type_v2': lambda _, kind, arguments, state: rebuild(
                *check_tuple(arguments)
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
        if isinstance(target, Array | DType | History):
            target.build(state)
        elif type(target) is not dict:  # the metadata of a state dict is ignored
            raise RefusedError(f'state of {type(target).__name__}')

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        kind = self.stack.pop()
        if kind is not History or check_tuple(arguments):
            raise RefusedError(f'new {shown(kind)}')
        self.append(History())

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is known for known in self._known.values()):
            raise RefusedError(f'call of {type(function).__name__}')
        self._count_work(arguments)
        self.stack[-1] = function(*check_tuple(arguments))

    # Keys are checked before they are hashed, because hashing nested tuples can hang or overflow
    # the stack. After a mark, `self.stack` has the new items and `metastack` the previous ones.
    def load_setitem(self) -> None:
        check_keys(self.stack[-2:-1])
        check_type(self.stack[-3], dict)
        super().load_setitem()

    def load_setitems(self) -> None:
        check_keys(self.stack[::2])
        check_type(self.metastack[-1][-1], dict)
        super().load_setitems()

    def load_dict(self) -> None:
        check_keys(self.stack[::2])
        super().load_dict()

    def load_additems(self) -> None:
        check_keys(self.stack)
        check_type(self.metastack[-1][-1], set)
        super().load_additems()

    def _count_work(self, arguments: Any) -> None:
        """Limit the copies made by calls: a short call can refer to the same long text again."""
        for value in arguments if isinstance(arguments, tuple) else (arguments,):
            if isinstance(value, str | bytes):
                self._work -= len(value)
            elif isinstance(value, list | tuple | dict):
                self._work -= _ITEM * len(value)
        if self._work < 0:
            raise BrokenFileError('its calls copy many times the size of the file')

    def clean_bools(self) -> None:
        """Set bytes of bool tensors to 0 or 1, the only valid ones, after all data is read."""
        for data in self.bools:
            data.clamp_(max=1)

    def persistent_load(self, key: Any) -> tuple[Storage, torch.dtype]:
        if not isinstance(key, tuple) or len(key) not in (5, 6) or key[0] != 'storage':
            raise BrokenFileError('it refers to what is no storage')
        _, kind, name, _, numel = key[:5]
        if not isinstance(kind, torch.dtype) or not isinstance(name, str) or not is_size(numel):
            raise BrokenFileError('it refers to what is no storage')
        storage = self._storage(name, numel * kind.itemsize)
        if numel * kind.itemsize > storage.nbytes:
            raise BrokenFileError(f'storage {name} has fewer bytes than declared')
        if kind is torch.bool and storage.data is not None:
            self.bools.append(storage.data)
        return storage, kind

    def _rebuild_tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
        if not isinstance(storage, tuple) or not isinstance(storage[0], Storage):
            raise BrokenFileError('a tensor has no storage')
        (data, nbytes), dtype = storage
        numel = nbytes // dtype.itemsize
        plain = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
        if not plain or len(size) > _MAX_DIMS or not all(map(is_size, (offset, *size, *stride))):
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


_METHODS = pickle._Unpickler.dispatch  # type: ignore[attr-defined]
RestrictedUnpickler.dispatch = {
    code: getattr(RestrictedUnpickler, _METHODS[code].__name__)
    for code in (getattr(pickle, name)[0] for name in _OPCODES)
}
