"""Makes mmcv usable without its compiled operators: missing ones fail when called, not on import.

`pip install onedl-mmcv` in an isolated build carries no `mmcv._ext`, and `mmdet.models` then dies on
import although nothing of this project needs an operator on a CPU.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import NoReturn

EXTENSION = 'mmcv._ext'

INSTALL_HINT = (
    'mmcv was installed without compiled operators. With a CUDA toolkit and a C++ compiler at hand, '
    '`pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps onedl-mmcv` compiles them '
    '(about a quarter of an hour on two cores).'
)


class MissingOperatorError(NotImplementedError):
    """A compiled mmcv operator was called that this installation does not have."""


class _OperatorStandIn(ModuleType):
    """Answers for `mmcv._ext`; every operator exists and raises when it is called."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args, **kwargs) -> NoReturn:
            raise MissingOperatorError(f'mmcv operator `{name}` is not available: {INSTALL_HINT}')

        return missing


def has_compiled_operators() -> bool:
    """Whether the real `mmcv._ext` is loaded or can be."""
    loaded = sys.modules.get(EXTENSION)
    if loaded is not None:
        return not isinstance(loaded, _OperatorStandIn)
    return importlib.util.find_spec('mmcv') is not None and _find_extension() is not None


def _find_extension() -> importlib.machinery.ModuleSpec | None:
    return importlib.util.find_spec(EXTENSION)


def install_stand_in() -> bool:
    """Puts the stand-in in place of a missing extension; returns whether it was needed.

    It needs a real `__spec__`: mmengine looks the module up with `find_spec`, which refuses a module in
    `sys.modules` whose spec is None.
    """
    if has_compiled_operators():
        return False
    if EXTENSION not in sys.modules:
        module = _OperatorStandIn(EXTENSION)
        module.__spec__ = importlib.machinery.ModuleSpec(EXTENSION, loader=None)
        sys.modules[EXTENSION] = module
    return True
