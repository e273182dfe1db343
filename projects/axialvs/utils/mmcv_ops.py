"""Make mmcv usable without its compiled operators, which fail when called, not on import.

`pip install onedl-mmcv` with build isolation does not compile `mmcv._ext`. `mmdet.models` then
fails on import, although this project needs no compiled operators on CPUs.
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
    '(about 15 minutes on two cores).'
)

_NOTICE = 'Could not import OneDL'


class MissingOperatorError(AxialVSError, NotImplementedError):
    """Raised on calling a compiled mmcv operator that is not installed."""


class _OperatorStandIn(ModuleType):
    """Placeholder for `mmcv._ext`, with all operators defined, which raise when called.

    Args:
        reason: why the extension is missing, without a trailing period.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(EXTENSION, 'Placeholder for the compiled operators of mmcv.')
        # mmengine calls `find_spec`, which raises for loaded modules whose spec is None.
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
    """Install the placeholder if the extension is missing or broken.

    Call it before importing `mmdet.models` or `mmcv.ops`. Repeated calls have no effect.

    Returns:
        Whether the placeholder is installed.
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
    """Register mmdet's modules, without the notice about a data format that it prints on import.

    The placeholder must be installed before.
    """
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        importlib.import_module('mmdet.datasets')
        importlib.import_module('mmdet.models')
    for line in printed.getvalue().splitlines():
        if not line.startswith(_NOTICE):
            print(line)


def missing_reason() -> str | None:
    """Return why the compiled operators are not available, or None if they are."""
    return sys.modules[EXTENSION].reason if install_stand_in() else None


def _why_not_importable() -> str | None:
    """Import the extension and return the reason for a failure, or None."""
    importlib.import_module('torch')  # the extension is linked against its libraries
    importlib.import_module('mmcv')  # errors of mmcv itself are not caught
    try:
        importlib.import_module(EXTENSION)
    except ModuleNotFoundError:
        return 'mmcv was installed without compiled operators'
    except (ImportError, OSError) as error:
        # Typically an undefined symbol after a different torch version was installed.
        return f'the compiled operators of mmcv cannot be loaded ({error})'
    return None
