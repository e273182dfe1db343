"""Names of files that commands write: a wrong one is said before the work, not after it."""

from argparse import ArgumentTypeError
from pathlib import Path


def output_file(text: str) -> Path:
    """The path of a file to write, as the type of an option; folders above it may be missing.

    Raises:
        ArgumentTypeError: it is a folder, or lies below a file.
    """
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"'{text}' is a folder; name a file")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ArgumentTypeError(f"'{text}': {above} is a file and no folder; choose another place")
    return path
