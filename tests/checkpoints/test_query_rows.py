"""Loading a checkpoint with more queries keeps the first rows of features and positions."""

import pytest
import torch

from axialvs.checkpoints.key_mapping import QUERY_WEIGHTS, keep_first_queries


def weights(queries, channels=3):
    return {name: torch.randn(queries, channels) for name in QUERY_WEIGHTS}


def test_same_rows_of_features_and_positions_are_kept():
    source = {**weights(200), 'other': torch.ones(2)}
    kept, cut = keep_first_queries(source, weights(100))
    assert cut == (200, 100)
    for name in QUERY_WEIGHTS:
        assert torch.equal(kept[name], source[name][:100])
        assert len(source[name]) == 200
    assert torch.equal(kept['other'], source['other'])


@pytest.mark.parametrize('queries', [100, 60])
def test_equal_or_fewer_queries_are_unchanged(queries):
    source = weights(queries)
    kept, cut = keep_first_queries(source, weights(100))
    assert cut is None
    assert all(torch.equal(kept[name], source[name]) for name in QUERY_WEIGHTS)


def test_mismatched_query_counts_are_unchanged():
    source = weights(200)
    source[QUERY_WEIGHTS[0]] = source[QUERY_WEIGHTS[0]][:150]
    assert keep_first_queries(source, weights(100))[1] is None
