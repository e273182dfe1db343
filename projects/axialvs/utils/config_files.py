"""Paths of the configs, weights and tools shipped with the package."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axialvs.utils.errors import AxialVSError

if TYPE_CHECKING:
    from mmengine.config import Config

_PACKAGE = Path(__file__).resolve().parents[1]
# In .mim of an installed package, at the root of a source checkout.
_FOLDERS = tuple(
    folder for folder in (_PACKAGE / '.mim', _PACKAGE.parents[1]) if (folder / 'configs').is_dir()
)


def find_config(name: str | Path) -> Path:
    """Find a config file.

    Args:
        name: a path, or a path below `configs/` with or without `.py`, or just its file name.

    Raises:
        FileNotFoundError: if there is no such config.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = path if path.suffix == '.py' else path.with_name(f'{path.name}.py')
    for folder in _FOLDERS:
        exact = folder / 'configs' / shipped
        named = sorted(folder.glob(f'configs/*/{shipped}')) if len(shipped.parts) == 1 else []
        for candidate in (exact, *named):
            if candidate.is_file():
                return candidate
    raise FileNotFoundError(
        f'config {name} does not exist; the configs of the project are in {_where("configs")}'
    )


def read_config(name: str | Path, options: Mapping[str, Any] | None = None) -> 'Config':
    """Read a config and override settings.

    Args:
        name: a path or name accepted by `find_config`.
        options: settings by their dotted keys.

    Raises:
        FileNotFoundError: if there is no such config.
        AxialVSError: if it has a syntax error, or the keys do not fit its settings.
    """
    from mmengine.config import Config  # imports torch

    path = find_config(name)
    try:
        config = Config.fromfile(path)
    except SyntaxError as error:
        raise AxialVSError(f'{path}: {error}') from error
    try:
        config.merge_from_dict(dict(options or {}))
    except (AttributeError, KeyError, TypeError) as error:
        keys = ', '.join(options or ())
        raise AxialVSError(f'--cfg-options {keys}: not settings of {path} ({error})') from error
    return config


def shipped_configs(pattern: str) -> list[str]:
    """List the shipped configs that match a glob pattern relative to `configs/`, sorted by name."""
    for folder in _FOLDERS:
        configs = folder / 'configs'
        return sorted(path.relative_to(configs).as_posix() for path in configs.glob(pattern))
    return []


def find_shipped_weights(file_name: str) -> Path:
    """Find a file in the folder `weights/`.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    return _find('weights', file_name)


def find_tool(script: str) -> Path:
    """Find a script below the folder `tools/`.

    Raises:
        FileNotFoundError: if there is no such script.
    """
    return _find('tools', script)


def _find(kind: str, name: str) -> Path:
    for folder in _FOLDERS:
        if (folder / kind / name).is_file():
            return folder / kind / name
    raise FileNotFoundError(f'{name} is not in {_where(kind)}')


def _where(kind: str) -> str:
    folders: Iterable[str] = (str(folder / kind) for folder in _FOLDERS)
    return ' or '.join(folders) or f'no folder: this installation lacks {kind}'
