"""Format metrics as plain text tables."""

from collections.abc import Mapping, Sequence
from typing import Any

_CLASS_COLUMNS = ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'gts', 'tracks')
_VIDEO_COLUMNS = ('AP', 'AP50', 'gts', 'matched', 'missed', 'tracks')


def summary_table(metrics: Mapping[str, float]) -> str:
    """Format the twelve metrics of `VideoAPResult.summary` in two columns."""
    pairs = (
        ('AP', 'AR1'),
        ('AP50', 'AR10'),
        ('AP75', 'AR100'),
        *((f'AP{s}', f'AR{s}') for s in 'sml'),
    )
    rows = [[name, metrics[name], f'  {other.ljust(5)}', metrics[other]] for name, other in pairs]
    return _layout(rows)


def class_table(by_class: Mapping[str, Mapping[str, float]]) -> str:
    """Format `VideoAPResult.per_class`, with one row per class."""
    return metrics_table(by_class, 'class', _CLASS_COLUMNS)


def video_table(by_video: Mapping[int, Mapping[str, float]]) -> str:
    """Format `VideoAPResult.per_video`, with one row per video."""
    return metrics_table(by_video, 'video', _VIDEO_COLUMNS)


def panoptic_table(metrics: Mapping[str, float]) -> str:
    """Format `VideoPanopticScores.summary`: one row per window, their mean, and STQ."""
    windows = [name for name in metrics if name.startswith('vpq') and '_' not in name]
    rows = [
        [name, *(metrics[name + part] for part in ('', '_thing', '_stuff'))] for name in windows
    ]
    rest = [[name, metrics[name]] for name in ('stq', 'aq', 'sq')]
    return _layout([['percent', 'all', 'thing', 'stuff'], *rows]) + '\n\n' + _layout(rest)


def metrics_table(
    rows: Mapping[Any, Mapping[str, float]], noun: str, columns: Sequence[str] | None = None
) -> str:
    """Format metrics, with one line per row.

    Args:
        rows: metrics by row name.
        noun: header of the first column.
        columns: metrics to show. Defaults to all.
    """
    columns = columns or list(next(iter(rows.values()), {}))
    lines = [[str(key), *(row[column] for column in columns)] for key, row in rows.items()]
    return _layout([[noun, *columns], *lines])


def _layout(rows: Sequence[Sequence[Any]]) -> str:
    """Align rows in columns of minimal width, with numbers right-aligned."""
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
