"""Queries of a larger checkpoint: the first rows of both features and positions."""

import pytest
import torch

from axialvs.checkpoints.key_mapping import QUERY_WEIGHTS, keep_first_queries


def weights(queries, channels=3):
    return {name: torch.randn(queries, channels) for name in QUERY_WEIGHTS}


def test_rows_of_features_and_positions_stay_together():
    source = {**weights(200), 'other': torch.ones(2)}
    kept, cut = keep_first_queries(source, weights(100))
    assert cut == (200, 100)
    for name in QUERY_WEIGHTS:
        assert torch.equal(kept[name], source[name][:100])
        assert len(source[name]) == 200
    assert torch.equal(kept['other'], source['other'])


@pytest.mark.parametrize('queries', [100, 60])
def test_equal_or_fewer_queries_stay_as_they_are(queries):
    source = weights(queries)
    kept, cut = keep_first_queries(source, weights(100))
    assert cut is None
    assert all(torch.equal(kept[name], source[name]) for name in QUERY_WEIGHTS)


def test_uneven_numbers_of_queries_are_left_to_be_reported():
    source = weights(200)
    source[QUERY_WEIGHTS[0]] = source[QUERY_WEIGHTS[0]][:150]
    assert keep_first_queries(source, weights(100))[1] is None
