"""Relative positions against loops over all pairs."""

import pytest
import torch

from axialvs.functional.relative_attention import (
    key_position_logits,
    query_position_logits,
    relative_positions,
    retrieve_positions,
)

REACH = 5  # offsets from -4 to 4
CHANNELS = 3


def row(table, i, j):
    """Return the row of offset `j - i`, clamped to the ends of the table."""
    return table[min(max(j - i, 1 - REACH), REACH - 1) + REACH - 1]


@pytest.fixture
def table():
    return torch.randn(2 * REACH - 1, CHANNELS, dtype=torch.double)


@pytest.mark.parametrize('length', [1, 4, REACH, 8])
def test_every_pair_reads_its_offset(table, length):
    positions = relative_positions(table, length)
    assert positions.shape == (length, CHANNELS, length)
    for i in range(length):
        for j in range(length):
            assert torch.equal(positions[i, :, j], row(table, i, j))


@pytest.mark.parametrize('length', [1, 4, 8])
def test_products(table, length):
    tokens = torch.randn(2, 2, length, CHANNELS, dtype=torch.double)
    weights = torch.randn(2, 2, length, length, dtype=torch.double)
    positions = relative_positions(table, length)
    by_query, by_key = torch.zeros_like(weights), torch.zeros_like(weights)
    retrieved = torch.zeros_like(tokens)
    for i in range(length):
        for j in range(length):
            by_query[..., i, j] = tokens[..., i, :] @ row(table, i, j)
            by_key[..., i, j] = tokens[..., j, :] @ row(table, i, j)
            retrieved[..., i, :] += weights[..., i, j, None] * row(table, i, j)
    torch.testing.assert_close(query_position_logits(tokens, positions), by_query)
    torch.testing.assert_close(key_position_logits(tokens, positions), by_key)
    torch.testing.assert_close(retrieve_positions(weights, positions), retrieved)


def test_gradients(table):
    table.requires_grad_()
    query = torch.randn(1, 2, 7, CHANNELS, dtype=torch.double, requires_grad=True)

    def attend(table, query):
        positions = relative_positions(table, 7)
        weights = (query_position_logits(query, positions) + query @ query.mT).softmax(-1)
        return retrieve_positions(weights, positions)

    assert torch.autograd.gradcheck(attend, (table, query))
