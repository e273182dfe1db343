"""Batches of videos: expansion of arguments, names of outputs, and a record of finished ones."""

import glob
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from axialvs.utils.addresses import display_name
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import IMAGE_SUFFIXES, natural_key

VIDEO_SUFFIXES = (
    *('.3gp', '.avi', '.flv', '.gif', '.m2ts', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg'),
    *('.mpg', '.mts', '.ogv', '.ts', '.webm', '.wmv', '.y4m'),
)
RECORD_NAME = 'segmented.jsonl'


class Job(NamedTuple):
    """A video and its outputs."""

    source: str
    name: str
    targets: dict[str, Path]  # file or folder to write, by option
    recorded: frozenset[str]  # options whose targets are in a folder for several videos

    @property
    def display_name(self) -> str:
        """The source in messages."""
        return display_name(self.source)


def find_sources(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Expand patterns and folders of videos.

    A folder without images is a folder of videos; its videos and folders of images are segmented.

    Args:
        arguments: files, folders, patterns such as `clips/*.mp4`, URLs, camera numbers.

    Returns:
        The sources without duplicates, and whether an argument may expand to several.

    Raises:
        AxialVSError: if a pattern matches nothing.
    """
    found: dict[str, str] = {}
    several = len(arguments) > 1
    for argument in arguments:
        path, sources = Path(argument), [argument]
        if path.is_dir() and not _holds(path, IMAGE_SUFFIXES):
            videos = _videos_below(path)
            sources, several = videos or sources, several or bool(videos)
        elif not path.exists() and '://' not in argument and glob.has_magic(argument):
            sources = sorted(glob.glob(argument, recursive=True), key=natural_key)
            several = True
            if not sources:
                raise AxialVSError(f"no file matches '{argument}'")
        for source in sources:
            found.setdefault(os.path.realpath(source), source)
    return list(found.values()), several


def _holds(folder: Path, suffixes: Sequence[str]) -> bool:
    return any(x.suffix.lower() in suffixes and x.name[0] != '.' for x in folder.iterdir())


def _videos_below(folder: Path) -> list[str]:
    entries = sorted(folder.iterdir(), key=lambda entry: natural_key(entry.name))
    return [
        str(entry)
        for entry in entries
        if entry.name[0] != '.'
        and (
            _holds(entry, IMAGE_SUFFIXES)
            if entry.is_dir()
            else entry.suffix.lower() in VIDEO_SUFFIXES
        )
    ]


def name_sources(sources: Sequence[str]) -> list[str]:
    """Name the outputs of each source: its path relative to the common folder, without suffix.

    Raises:
        AxialVSError: if two sources have the same name.
    """
    local = [os.path.abspath(source) for source in sources if Path(source).exists()]
    root = os.path.commonpath([os.path.dirname(path) for path in local]) if local else ''
    stems = [_name(source, root, with_suffix=False) for source in sources]
    count = Counter(stems)
    names = [
        stem if count[stem] == 1 else _name(source, root, with_suffix=True)
        for stem, source in zip(stems, sources, strict=True)
    ]
    for name, repetitions in Counter(names).items():
        if repetitions > 1:
            same = [source for source, x in zip(sources, names, strict=True) if x == name]
            raise AxialVSError(f'{same[0]} and {same[1]} have the same name; rename one of them')
    return names


def _name(source: str, root: str, with_suffix: bool) -> str:
    path = Path(os.path.abspath(source))
    if not path.exists():  # a URL, a camera, or a wrong path
        return re.sub(r'[^\w.-]+', '_', display_name(source).rpartition('://')[2]).strip('_')
    name = path if path.is_dir() or with_suffix else path.with_suffix('')
    name = name.relative_to(root) if root else Path(name.name)
    return str(name).replace('.', '_') if with_suffix else str(name)


class OutputRecord:
    """Record of finished outputs and their settings in a folder, in the file `segmented.jsonl`.

    The file has a line per change; the last one of an output is valid. Truncated lines are skipped.

    Args:
        folder: output folder, which may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD_NAME
        self._states: dict[str, list[Any]] = {}  # settings, and 'whole' or 'unfinished'
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                target, *state = json.loads(line)
                self._states[target] = state
            except (ValueError, TypeError, RecursionError):
                continue

    def _key(self, target: Path) -> str:
        return target.relative_to(self._path.parent).as_posix()

    def is_whole(self, target: Path, settings: dict[str, Any]) -> bool:
        """Return whether the output was finished with the same settings and the same video."""
        return target.exists() and self._states.get(self._key(target)) == [settings, 'whole']

    def check_replaceable(self, target: Path) -> None:
        """Check that the output does not exist, or is from an earlier run.

        Raises:
            AxialVSError: if the output exists and is not in the record.
        """
        if target.exists() and self._key(target) not in self._states:
            raise AxialVSError(
                f'{target}: exists and is not in {self._path}; use --overwrite to replace it'
            )

    def set(self, target: Path, settings: dict[str, Any], is_whole: bool) -> None:
        """Record that an output is started or finished.

        Raises:
            OSError: if the record cannot be written.
        """
        state = [settings, 'whole' if is_whole else 'unfinished']
        line = json.dumps([self._key(target), *state])
        try:
            # The leading newline ends a truncated line.
            with open(self._path, 'a') as file:
                file.write(f'\n{line}\n')
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._states[self._key(target)] = state


def describe_source(source: str) -> dict[str, Any]:
    """Return a fingerprint that changes with the video."""
    path = Path(source)
    if not path.exists():
        return {'source': display_name(source)}
    state = path.stat()
    return {'source': str(path.resolve()), 'size': state.st_size, 'changed': state.st_mtime}


def clear_images(folder: Path) -> None:
    """Remove only images of an earlier run from a folder."""
    for pattern in ('*.png', f'{"[0-9]" * 5}/*.png'):  # the latter are mattes
        for path in folder.glob(pattern):
            path.unlink()
