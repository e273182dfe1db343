"""Make mmcv usable without its compiled operators: missing ones fail when called, not on import.

`pip install onedl-mmcv` in an isolated build carries no `mmcv._ext`, and `mmdet.models` then dies
on import although nothing of this project needs an operator on a CPU.
"""

import contextlib
import importlib
import importlib.machinery
import io
import sys
from types import ModuleType
from typing import NoReturn

from axialvs.utils.errors import AxialVSError

EXTENSION = 'mmcv._ext'

INSTALL_COMMAND = (
    'pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps onedl-mmcv'
)

INSTALL_HINT = (
    f'With a CUDA toolkit and a C++ compiler installed, `{INSTALL_COMMAND}` compiles them '
    '(about a quarter of an hour on two cores).'
)

_NOTICE = 'Could not import OneDL'


class MissingOperatorError(AxialVSError, NotImplementedError):
    """A compiled mmcv operator was called that this installation does not have."""


class _OperatorStandIn(ModuleType):
    """Answer for `mmcv._ext`; every operator exists and raises when it is called.

    Args:
        reason: why the extension is missing, a sentence without its full stop.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(EXTENSION, 'Stand-in for the compiled operators of mmcv.')
        # mmengine asks `find_spec`, which refuses a loaded module whose spec is None.
        self.__spec__ = importlib.machinery.ModuleSpec(EXTENSION, loader=None)
        self.reason = reason

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args, **kwargs) -> NoReturn:
            raise MissingOperatorError(
                f'mmcv operator `{name}` is not available: {self.reason}. {INSTALL_HINT}'
            )

        return missing


def install_stand_in() -> bool:
    """Put the stand-in in place of an extension that is missing or broken.

    To be called before anything imports `mmdet.models` or `mmcv.ops`; calling it again is harmless.

    Returns:
        Whether the stand-in is in place.
    """
    loaded = sys.modules.get(EXTENSION)
    if loaded is None:
        reason = _why_not_importable()
        if reason is None:
            return False
        loaded = sys.modules[EXTENSION] = _OperatorStandIn(reason)
        vars(sys.modules['mmcv'])['_ext'] = loaded
    return isinstance(loaded, _OperatorStandIn)


def import_mmdet() -> None:
    """Import mmdet's registered parts, without its notice at every start about a data format.

    The stand-in has to be in place.
    """
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        importlib.import_module('mmdet.datasets')
        importlib.import_module('mmdet.models')
    for line in printed.getvalue().splitlines():
        if not line.startswith(_NOTICE):
            print(line)


def missing_reason() -> str | None:
    """Why the compiled operators cannot be had; None where they can."""
    return sys.modules[EXTENSION].reason if install_stand_in() else None


def _why_not_importable() -> str | None:
    """Import the extension; return the reason if that fails."""
    importlib.import_module('torch')  # whose libraries the extension is linked against
    importlib.import_module('mmcv')  # a broken mmcv is an error of its own
    try:
        importlib.import_module(EXTENSION)
    except ModuleNotFoundError:
        return 'mmcv was installed without compiled operators'
    except (ImportError, OSError) as error:
        # Typically an undefined symbol, when torch was changed after mmcv had been compiled.
        return f'the compiled operators of mmcv do not load ({error})'
    return None
