"""Finds the configs that come with the package, wherever it is installed."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# An installed package carries them along; a source checkout has them at its root.
_FOLDERS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parents[1] / 'configs')


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name: a path, or a path below `configs/` with or without `.py`.

    Raises:
        FileNotFoundError: if neither exists.
    """
    path = Path(name)
    candidates = [path, *(folder / path.with_suffix('.py') for folder in _FOLDERS)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f'config {name} does not exist; those of the project lie in {_FOLDERS[-1]}'
    )
