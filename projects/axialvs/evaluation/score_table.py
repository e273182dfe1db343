"""Scores as plain text tables."""

from collections.abc import Mapping, Sequence
from typing import Any

_CLASS_COLUMNS = ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'gts', 'tracks')
_VIDEO_COLUMNS = ('AP', 'AP50', 'gts', 'matched', 'missed', 'tracks')


def summary_table(figures: Mapping[str, float]) -> str:
    """The twelve figures, precision and recall side by side."""
    pairs = (
        ('AP', 'AR1'),
        ('AP50', 'AR10'),
        ('AP75', 'AR100'),
        *((f'AP{s}', f'AR{s}') for s in 'sml'),
    )
    rows = [[name, figures[name], f'  {other.ljust(5)}', figures[other]] for name, other in pairs]
    return _layout(rows)


def class_table(by_class: Mapping[str, Mapping[str, float]]) -> str:
    """A row a class, from `VideoAPResult.per_class`."""
    return _rows('class', by_class, _CLASS_COLUMNS)


def video_table(by_video: Mapping[int, Mapping[str, float]]) -> str:
    """A row a video, from `VideoAPResult.per_video`."""
    return _rows('video', by_video, _VIDEO_COLUMNS)


def panoptic_table(figures: Mapping[str, float]) -> str:
    """VPQ, a row a window and their mean, and STQ, from `VideoPanopticScores.summary`."""
    windows = [name for name in figures if name.startswith('vpq') and '_' not in name]
    rows = [
        [name, *(figures[name + part] for part in ('', '_thing', '_stuff'))] for name in windows
    ]
    rest = [[name, figures[name]] for name in ('stq', 'aq', 'sq')]
    return _layout([['percent', 'all', 'thing', 'stuff'], *rows]) + '\n\n' + _layout(rest)


def _rows(noun: str, table: Mapping[Any, Mapping[str, float]], columns: Sequence[str]) -> str:
    return _layout(
        [[noun, *columns], *([str(key), *(row[c] for c in columns)] for key, row in table.items())]
    )


def _layout(rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as they need to be, numbers to the right."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return '\n'.join(
        '  '.join(
            text.ljust(width) if index == 0 else text.rjust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return '-' if cell < 0 else f'{cell:.4f}'
    return str(cell)
