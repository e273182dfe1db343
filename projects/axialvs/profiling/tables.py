"""Rows of figures as Markdown, and how the figures grow from row to row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

# How keys of rows are written; others stand as they are.
HEADINGS = {
    'frames': 'T',
    'video_frames': 'frames',
    'gflops_defined': 'GFLOPs, as defined',
    'gflops_executed': 'GFLOPs, executed',
    'parameters': 'parameters, M',
    'forward_mib': 'forward, MiB',
    'training_mib': 'training step, MiB',
    'peak_mib': 'peak, MiB',
    'seconds': 'time',
    'frames_a_second': 'frames/s',
    'time_ratio': 'time, times the first',
    'extra_mib': 'memory of a call, MiB',
    'memory_ratio': 'memory, times the first',
    'all_mib': 'with the model, MiB',
    'all_memory_ratio': 'all memory, times the first',
}
_SMALLEST_DECIMAL = 100  # from here on digits behind the point say nothing


def markdown(rows: Sequence[Mapping]) -> str:
    """A Markdown table with one line for each row; a key that a row lacks is an empty cell."""
    return '\n'.join(markdown_lines(rows))


def markdown_lines(rows: Iterable[Mapping]) -> Iterator[str]:
    """The lines of a Markdown table, each as its row comes.

    Args:
        rows: a sequence, of which all keys become columns, or rows that are still to be made,
            where those of the first do.
    """
    columns = _keys(rows) if isinstance(rows, Sequence) else []
    has_head = False
    for row in rows:
        if not has_head:
            columns = columns or _keys([row])
            yield _line(HEADINGS.get(key, key.replace('_', ' ')) for key in columns)
            yield _line(['---'] * len(columns))
            has_head = True
        yield _line(_written(row.get(key, '')) for key in columns)


def _keys(rows: Sequence[Mapping]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _line(cells: Iterable[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _written(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if 0 < abs(value) < 0.01:
        return f'{value:.2g}'
    return f'{value:.2f}' if abs(value) < _SMALLEST_DECIMAL else f'{value:,.0f}'


def growth(
    rows: Sequence[Mapping], of: str, along: str, amount: Mapping[object, float], costs: list[str]
) -> list[dict]:
    """By what factors costs grow where one thing grows and all else stays.

    Args:
        rows: figures; those that agree in all keys but `along` and the costs are compared.
        of: what grows, for the reader.
        along: its key.
        amount: how much of it each value of `along` stands for, such as a size's pixels.
        costs: keys of the costs; one that a row lacks is left out.

    Returns:
        One row for each step from the smallest: what stays the same, '' for what does not, then
        the factor of what grows and of each cost.
    """
    groups: dict[tuple, list[Mapping]] = {}
    for row in rows:
        keys = ('config', 'frames', 'size')
        fixed = tuple((key, '' if key == along else row.get(key, '')) for key in keys)
        groups.setdefault(fixed, []).append(row)
    steps = []
    for fixed, group in groups.items():
        first, *others = sorted(group, key=lambda row: amount[row[along]])
        for row in others:
            factor = amount[row[along]] / amount[first[along]]
            grown = {key: row[key] / first[key] for key in costs if key in row and first.get(key)}
            step = {'what grows': of, 'from': first[along], 'to': row[along], 'times': factor}
            steps.append({**dict(fixed), **step, **grown})
    return steps
