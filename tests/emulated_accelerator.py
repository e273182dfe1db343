"""An emulated accelerator: its tensors are stored on the CPU but report another device.

They report torch's `meta` device, which nothing else uses here, so that code which checks devices
takes the GPU path. As there, tensors of two devices cannot be mixed or converted to NumPy, and new
tensors are created on the requested device. Kernels, streams and autocast are not emulated.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

# A separate index, so that caches by device are not shared with plain `meta`.
ACCELERATOR = torch.device('meta', 1)

_MOVES = ('aten::copy_', 'aten::_to_copy')
# GPU tensors accept index tensors on the CPU.
_TAKES_INDICES = ('aten::index', 'aten::index_put', 'aten::index_put_', 'aten::_index_put_impl_')
_FROM_LISTS = (torch.tensor, torch.as_tensor)


class AcceleratorTensor(Tensor):
    """A tensor of the emulated accelerator.

    Args:
        values: data, on the CPU.
    """

    @staticmethod
    def __new__(cls, values: Tensor):
        return Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=ACCELERATOR,
        )

    def __init__(self, values: Tensor) -> None:
        self.values_on_cpu = values

    def __repr__(self) -> str:
        return f'AcceleratorTensor({self.values_on_cpu})'

    def tolist(self) -> list:
        """Return the values as lists, which torch does not support for subclasses."""
        return self.values_on_cpu.tolist()

    def new_tensor(self, data, dtype: torch.dtype | None = None, device=ACCELERATOR) -> Tensor:
        """Create a tensor with the given data, which torch would drop."""
        return torch.tensor(data, dtype=dtype or self.dtype).to(device)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _run(function: Callable, args: tuple, kwargs: dict):
    """Run an operator on the values and place the results as a GPU would."""
    tensors = [x for x in tree_leaves((args, kwargs)) if torch.is_tensor(x)]
    ours = [x for x in tensors if isinstance(x, AcceleratorTensor)]
    asked = kwargs.get('device')
    asked = None if asked is None else torch.device(asked)
    if not ours and asked != ACCELERATOR:
        return function(*args, **kwargs)
    if ours:
        _check_that_devices_match(function, args, tensors)
    arguments = tree_map(_values, (args, kwargs))
    if asked is not None:
        arguments[1]['device'] = torch.device('cpu')
    result = function(*arguments[0], **arguments[1])
    if asked is not None and asked != ACCELERATOR:
        return result
    if function._schema.name == 'aten::copy_' and not isinstance(args[0], AcceleratorTensor):
        return args[0]
    result = tree_map(_on_accelerator, result)
    return return_and_correct_aliasing(function, args, kwargs, result) if ours else result


def _check_that_devices_match(function: Callable, args: tuple, tensors: list[Tensor]) -> None:
    others = [x for x in tensors if not isinstance(x, AcceleratorTensor) and x.ndim]
    name = function._schema.name
    if not others or name in _MOVES:
        return
    if name in _TAKES_INDICES and all(
        isinstance(x, AcceleratorTensor) or not x.ndim for x in (args[0], *args[2:3])
    ):
        return
    shapes = [(x.device.type, tuple(x.shape)) for x in tensors]
    raise RuntimeError(f'expected all tensors on one device: {function} got {shapes}')


def _values(x):
    return x.values_on_cpu if isinstance(x, AcceleratorTensor) else x


def _on_accelerator(x):
    return AcceleratorTensor(x) if torch.is_tensor(x) else x


class _Operators(TorchDispatchMode):
    """A mode for operators that create tensors without a tensor of the accelerator as input."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


class _Lists(TorchFunctionMode):
    """A mode that keeps the values of Python lists, which torch drops for the `meta` device."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        device = kwargs.get('device')
        if function in _FROM_LISTS and device is not None and torch.device(device) == ACCELERATOR:
            kwargs['device'] = 'cpu'
            return function(*args, **kwargs).to(ACCELERATOR)
        if function is Tensor.__getitem__ and isinstance(args[0], AcceleratorTensor):
            args = (args[0], _tensor_of_list(args[1]))
        return function(*args, **kwargs)


def _tensor_of_list(index):
    if isinstance(index, tuple):
        return tuple(map(_tensor_of_list, index))
    return torch.tensor(index) if isinstance(index, list) else index


class _Autocast(torch.autocast):
    """Autocast of the CPU in place of the accelerator's."""

    def __init__(self, device_type: str, *args, **kwargs) -> None:
        super().__init__(_known(device_type), *args, **kwargs)


def _known(device_type: str) -> str:
    return 'cpu' if device_type == ACCELERATOR.type else device_type


@contextmanager
def emulated_accelerator() -> Iterator[None]:
    """Provide the device `ACCELERATOR` in this context and in threads started in it."""
    run, enabled, dtype = (
        threading.Thread.run,
        torch.is_autocast_enabled,
        torch.get_autocast_dtype,
    )

    def run_with_accelerator(thread: threading.Thread) -> None:
        with _Operators(), _Lists():
            run(thread)

    with ExitStack() as stack:
        for owner, name, replacement in (
            (threading.Thread, 'run', run_with_accelerator),
            (torch, 'autocast', _Autocast),
            (torch, 'is_autocast_enabled', lambda *kind: enabled(*map(_known, kind))),
            (torch, 'get_autocast_dtype', lambda kind: dtype(_known(kind))),
        ):
            stack.enter_context(patch.object(owner, name, replacement))
        stack.enter_context(_Operators())
        stack.enter_context(_Lists())
        yield
