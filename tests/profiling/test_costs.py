"""Counted work and memory against numbers made by hand."""

import pytest
import torch
from torch import nn

from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.profiling.flops import count_flops, trajectory_flops
from axialvs.profiling.memory import peak_extra_bytes
from axialvs.profiling.model_costs import clip_costs
from axialvs.profiling.timing import median_ratio, time_in_turns
from tiny_segmenter import PLAIN, WITHIN_CLIP, tiny_segmenter


def test_a_linear_layer_costs_its_products():
    layer = nn.Linear(8, 5)
    flops = count_flops(layer, lambda: layer(torch.ones(3, 8)))
    assert flops == (3 * 8 * 5, 3 * 8 * 5)
    assert all(x.requires_grad for x in layer.parameters())


def test_trajectory_attention_by_hand():
    """One line of 2 frames of 3 tokens, 4 channels: S = 6, C = 4, T = 2."""
    by_hand = 5 * 6 * 16 + 2 * 36 * 4 + 2 * 6 * 2 * 16 + 2 * 6 * 2 * 4
    assert trajectory_flops(1, 2, 3, 4) == by_hand
    attention = TrajectoryAttention(4, num_heads=2)
    line = torch.randn(1, 6, 4)
    flops = count_flops(attention, lambda: attention(line, line, num_frames=2))
    assert flops.defined == by_hand
    # Of the keys only the difference of two frames is projected; the weighing is no product.
    assert flops.executed == by_hand - 6 * 16 - 2 * 6 * 2 * 4


def test_absorbed_projections_spare_work_with_many_frames():
    attention = TrajectoryAttention(256)
    line = torch.randn(1, 5 * 4, 256)
    flops = count_flops(attention, lambda: attention(line, line, num_frames=5))
    assert flops.executed < 0.6 * flops.defined


def test_peak_memory_is_of_what_is_alive_at_once():
    kib = 256 * torch.ones(1).element_size()

    def three_at_most_two_at_once():
        first = torch.ones(100, 256)
        second = first + 1
        del first
        return second + 1

    assert peak_extra_bytes(three_at_most_two_at_once) == pytest.approx(200 * kib, rel=0.01)


def test_the_module_adds_work_parameters_and_a_training_step():
    plain, tracked = (
        clip_costs(tiny_segmenter(name), 2, 64, 64, train=True) for name in (PLAIN, WITHIN_CLIP)
    )
    for field in ('gflops_defined', 'gflops_executed', 'parameters', 'training_mib'):
        assert tracked[field] > plain[field]
    assert tracked['training_mib'] > tracked['forward_mib'] > 0
    longer = clip_costs(tiny_segmenter(PLAIN), 4, 64, 64, train=False)
    assert 1.5 < longer['gflops_defined'] / plain['gflops_defined'] <= 2


def test_turns_alternate_after_a_warm_up():
    calls = []
    seconds = time_in_turns({x: lambda x=x: calls.append(x) for x in 'ab'}, rounds=2)
    assert ''.join(calls) == 'ab' + 'abab'
    assert [len(x) for x in seconds.values()] == [2, 2]
    assert median_ratio([2.0, 6.0, 9.0], [1.0, 2.0, 1.0]) == 3.0
    with pytest.raises(ValueError, match='rounds is 0'):
        time_in_turns({}, rounds=0)
