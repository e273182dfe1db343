"""Format Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows as a table with a column per key; missing keys are empty cells."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ['---'] * len(columns)]
    lines += [[str(row.get(key, '')) for key in columns] for row in rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)
