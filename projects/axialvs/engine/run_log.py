"""Read the scalars that a training run logged, across resumptions, as curves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import read_utf8

_SCALARS = 'scalars.json'  # mmengine's file, one JSON object per line
_PREFIXES = ('train/', 'val/')
_PLACES = ('step', 'iter', 'epoch')  # not metrics


@dataclass(frozen=True)
class Curve:
    """A scalar over a run: (n,) iterations, ascending, and (n,) values."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class RunLog:
    """The log of a run.

    Attributes:
        path: the folder or file that was read.
        parts: number of files: 1, and 1 more for each resumption.
        curves: by name, such as `train/loss` or `val/youtube_vis/AP`.
    """

    path: Path
    parts: int
    curves: dict[str, Curve]

    def find(self, name: str) -> str | None:
        """Return the full name of a curve, such as `train/loss` for `loss`, or None."""
        for candidate in (name, *(prefix + name for prefix in _PREFIXES)):
            if candidate in self.curves:
                return candidate
        return next((known for known in self.curves if known.endswith(f'/{name}')), None)


def read_run(path: str | Path) -> RunLog:
    """Read the scalars of a run.

    A resumed run writes a new file. Lines that an interrupted process wrote after the checkpoint
    from which the next one resumed are dropped.

    Args:
        path: a work dir, one of its folders named by a time, or a file.

    Raises:
        FileNotFoundError: if there is no log.
        AxialVSError: if a line in the middle of a file is not a JSON object.
    """
    path = Path(path)
    parts = [_read_part(file) for file in _files(path)]
    parts = [part for part in parts if part]
    if not parts:
        raise FileNotFoundError(
            f'{path}: no training log here; give a work dir whose folders have vis_data/{_SCALARS} '
            'with at least one line'
        )
    records: list[dict[str, float]] = []
    for part in parts:
        records = _before(records, part) + part
    return RunLog(path, len(parts), _curves(records))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for pattern in (_SCALARS, f'vis_data/{_SCALARS}', f'*/vis_data/{_SCALARS}'):
        files = sorted(path.glob(pattern))  # the folders are named by times
        if files:
            return files
    return []


def _read_part(file: Path) -> list[dict[str, float]]:
    lines = read_utf8(file).splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_with_prefixes(json.loads(line)))
        except (ValueError, AttributeError, OverflowError, RecursionError) as error:
            if number < len(lines):
                raise AxialVSError(f'{file}, line {number}: not a JSON object ({error})') from error
            # A killed process may leave half a line at the end.
    return [record for record in records if 'step' in record]


def _with_prefixes(record: dict[str, Any]) -> dict[str, float]:
    """Add the prefixes `train/` and `val/`, which mmdet's logs lack."""
    numbers = {key: float(x) for key, x in record.items() if isinstance(x, int | float)}
    int(numbers.get('step', 0))  # an error for NaN and infinity
    of_training = any(key.endswith('lr') for key in numbers)
    prefix = _PREFIXES[0] if of_training else _PREFIXES[1]
    return {
        key if key in _PLACES or key.startswith(_PREFIXES) else prefix + key: value
        for key, value in numbers.items()
    }


def _before(records: list[dict[str, float]], later: list[dict[str, float]]) -> list[dict]:
    """Drop the records that a later part of the run repeats."""
    trained = [record['step'] for record in later if _is_training(record)]
    validated = [record['step'] for record in later if not _is_training(record)]
    # A resumed run may begin with the validation of its checkpoint.
    train_end = trained[0] if trained else validated[0] + 1
    val_end = min(trained[:1] + validated[:1])
    return [r for r in records if r['step'] < (train_end if _is_training(r) else val_end)]


def _is_training(record: dict[str, float]) -> bool:
    return any(key.startswith(_PREFIXES[0]) for key in record)


def _curves(records: list[dict[str, float]]) -> dict[str, Curve]:
    points: dict[str, dict[int, float]] = {}
    for record in records:
        for key, value in record.items():
            if key not in _PLACES:
                points.setdefault(key, {})[int(record['step'])] = float(value)
    return {
        key: Curve(np.array(sorted(of_key)), np.array([of_key[step] for step in sorted(of_key)]))
        for key, of_key in points.items()
    }
