"""Attention along one axis with relative positions for queries, keys and values.

Source: Axial-DeepLab (Wang et al., 2020), Eq. 4. A table has one row per offset `key - query` from
`-(R - 1)` to `R - 1`. Larger offsets use the first or the last row.
"""

import torch
from torch import Tensor


def relative_positions(table: Tensor, length: int) -> Tensor:
    """Expand a table of offsets to all pairs of positions.

    Args:
        table: (2 * R - 1, d), from the most negative offset to the most positive.
        length: n.

    Returns:
        (n, d, n): `[i, :, j]` is the row of offset `j - i`.
    """
    reach = len(table) // 2 + 1
    if length > reach:
        missing = length - reach
        first, last = (row.expand(missing, -1) for row in (table[:1], table[-1:]))
        table, reach = torch.cat((first, table, last)), length
    offsets = table[reach - length : reach - 1 + length]
    return offsets.unfold(0, length, 1).flip(0)


def query_position_logits(query: Tensor, positions: Tensor) -> Tensor:
    """Multiply queries with the relative position embedding of each key.

    Args:
        query: (B, h, n, d).
        positions: (n, d, n) of `relative_positions`.

    Returns:
        (B, h, n, n), queries by keys.
    """
    batch = query.shape[:2]
    by_query = query.flatten(0, 1).transpose(0, 1) @ positions  # n, B * h, n
    return by_query.transpose(0, 1).unflatten(0, batch)


def key_position_logits(key: Tensor, positions: Tensor) -> Tensor:
    """Multiply keys with the embedding of their position relative to each query.

    Args:
        key: (B, h, n, d).
        positions: (n, d, n) of `relative_positions`.

    Returns:
        (B, h, n, n), queries by keys.
    """
    batch = key.shape[:2]
    by_key = key.flatten(0, 1).transpose(0, 1) @ positions.permute(2, 1, 0)  # n, B * h, n
    return by_key.permute(1, 2, 0).unflatten(0, batch)


def retrieve_positions(weights: Tensor, positions: Tensor) -> Tensor:
    """Average the relative position embeddings of the keys by attention weights.

    Args:
        weights: attention (B, h, n, n), queries by keys.
        positions: (n, d, n) of `relative_positions`.

    Returns:
        (B, h, n, d).
    """
    batch = weights.shape[:2]
    by_query = weights.flatten(0, 1).transpose(0, 1) @ positions.transpose(1, 2)  # n, B * h, d
    return by_query.transpose(0, 1).unflatten(0, batch)
