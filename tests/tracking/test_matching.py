"""Linking queries: permutations are found by angle only; errors name invalid queries."""

import pytest
import torch

from axialvs.structures import ClipPrediction
from axialvs.tracking.linking import ClipLinker
from axialvs.tracking.matching import match_queries

QUERIES, CHANNELS = 8, 6


@pytest.fixture
def queries():
    return torch.randn(QUERIES, CHANNELS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def order():
    return torch.randperm(QUERIES, generator=torch.Generator().manual_seed(1))


def prediction(queries: torch.Tensor, seed: int = 0) -> ClipPrediction:
    """Return class and mask logits that identify their query by its first channel."""
    rng = torch.Generator().manual_seed(seed)
    class_logits = torch.randn(len(queries), 4, generator=rng)
    return ClipPrediction(class_logits, torch.randn(len(queries), 2, 3, 3, generator=rng), queries)


def permuted(clip: ClipPrediction, order: torch.Tensor) -> ClipPrediction:
    return clip.reorder(order)


def test_permutation_is_recovered(queries, order):
    noise = 0.05 * torch.randn(QUERIES, CHANNELS, generator=torch.Generator().manual_seed(2))
    shuffled = (queries + noise)[order]
    assert torch.equal(order[match_queries(queries, shuffled)], torch.arange(QUERIES))


def test_autocast_does_not_round_angles():
    """Autocast, as with --amp, is applied to pairs that half precision cannot distinguish."""
    angles = torch.tensor([0.0, 1e-3, 2e-3, 3e-3])
    queries = torch.stack((angles.cos(), angles.sin(), torch.zeros(4)), dim=1)
    order = torch.tensor([2, 0, 3, 1])
    with torch.autocast('cpu', torch.bfloat16):
        found = match_queries(queries, queries[order])
    assert torch.equal(order[found], torch.arange(4))


def test_norm_of_a_query_is_ignored(queries, order):
    lengths = torch.linspace(0.1, 50, QUERIES)[:, None]
    indices = match_queries(queries, (queries * lengths)[order])
    assert torch.equal(order[indices], torch.arange(QUERIES))


def test_assignment_minimizes_the_total_cost():
    """Query 0 is closest to the second target, but the swapped assignment has the lower sum."""
    target = torch.tensor([[1.0, 0.0], [0.9, 0.436]])
    current = torch.tensor([[0.95, 0.312], [0.0, 1.0]])
    assert match_queries(target, current).tolist() == [0, 1]
    assert match_queries(target, current.flip(0)).tolist() == [1, 0]


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_queries_that_are_not_finite(queries, value):
    broken = queries.clone()
    broken[3, 1] = value
    with pytest.raises(ValueError, match='not finite'):
        match_queries(queries, broken)
    with pytest.raises(ValueError, match='not finite'):
        match_queries(broken, queries)


def test_low_precision_queries_are_matched_in_float32(queries, order):
    indices = match_queries(queries.bfloat16(), queries[order].bfloat16())
    assert torch.equal(order[indices], torch.arange(QUERIES))


def test_clips_are_reordered_like_the_first(queries, order):
    linker = ClipLinker()
    clips = [prediction(queries, seed) for seed in range(3)]
    shuffles = [torch.arange(QUERIES), order, order.flip(0)]
    for clip, shuffle in zip(clips, shuffles, strict=True):
        linked = linker.link(permuted(clip, shuffle))
        for ours, expected in zip(linked[:3], clip[:3], strict=True):
            assert torch.equal(ours, expected)
    assert linker.num_clips == 3


def test_class_logits_are_the_mean_of_linked_clips(queries, order):
    linker = ClipLinker()
    clips = [prediction(queries, seed) for seed in range(3)]
    for count, clip in enumerate(clips, start=1):
        linker.link(permuted(clip, order) if count > 1 else clip)
        expected = torch.stack([x.class_logits for x in clips[:count]]).mean(0)
        torch.testing.assert_close(linker.class_logits, expected)


def test_each_clip_is_linked_to_the_previous_one():
    """Two queries rotate by 60 degrees per clip: after three clips each is opposite to its start,
    so only a chain of neighboring clips distinguishes them."""
    linker = ClipLinker()
    for step in range(5):
        angle = torch.tensor(step * torch.pi / 3)
        turned = torch.stack((angle.cos(), angle.sin()))
        labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        clip = ClipPrediction(labels, torch.zeros(2, 1, 1, 1), torch.stack((turned, -turned)))
        linked = linker.link(permuted(clip, torch.tensor([1, 0])) if step % 2 else clip)
        assert torch.equal(linked.class_logits, labels)


def test_nothing_linked_yet():
    with pytest.raises(RuntimeError, match='no clip'):
        _ = ClipLinker().class_logits
