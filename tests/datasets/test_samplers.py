"""Tests of the samplers, with ranks simulated without communication."""

from collections import Counter
from itertools import islice

import pytest
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch.testing._internal.distributed.fake_pg import FakeStore

from axialvs.datasets.samplers import InfiniteClipSampler, VideoClipSampler, balance_by_length


@pytest.fixture
def as_rank():
    """Return a function that lets this process appear as one of several ranks."""

    def become(rank: int, world_size: int) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()
        dist.init_process_group('fake', rank=rank, world_size=world_size, store=FakeStore())

    yield become
    if dist.is_initialized():
        dist.destroy_process_group()


def take(sampler, number: int, skip: int = 0) -> list:
    if skip:
        sampler.skip(skip)
    return list(islice(iter(sampler), number))


def test_each_pass_is_a_different_permutation():
    samples = take(InfiniteClipSampler(range(7), seed=5), 21)
    passes = [[s.clip for s in samples[i : i + 7]] for i in (0, 7, 14)]
    assert [sorted(order) for order in passes] == [list(range(7))] * 3
    assert len({tuple(order) for order in passes}) == 3
    assert [s.position for s in samples] == list(range(21))
    assert {s.seed for s in samples} == {5}


def test_order_depends_on_the_seed():
    first, again, other = (take(InfiniteClipSampler(range(30), seed=s), 60) for s in (1, 1, 2))
    assert first == again
    assert [s.clip for s in first] != [s.clip for s in other]


def test_without_shuffling_dataset_order_is_kept():
    samples = take(InfiniteClipSampler(range(3), shuffle=False, seed=0), 5)
    assert [s.clip for s in samples] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_together_match_one_process(as_rank, world_size):
    alone = take(InfiniteClipSampler(range(10), seed=4), 12 * world_size)
    shares = []
    for rank in range(world_size):
        as_rank(rank, world_size)
        shares.append(take(InfiniteClipSampler(range(10), seed=4), 12))
    assert [sample for step in zip(*shares, strict=True) for sample in step] == alone


def test_skip(as_rank):
    as_rank(1, 2)
    whole = take(InfiniteClipSampler(range(5), seed=4), 40)
    assert take(InfiniteClipSampler(range(5), seed=4), 10, skip=30) == whole[30:]
    with pytest.raises(ValueError, match='-1'):
        InfiniteClipSampler(range(5), seed=4).skip(-1)


def test_empty_dataset_raises():
    with pytest.raises(ValueError, match='no clip'):
        InfiniteClipSampler([], seed=0)


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 6))
def test_videos_are_distributed_completely_and_evenly(lengths, num_ranks):
    shares = balance_by_length(lengths, num_ranks)
    assert len(shares) == num_ranks
    assert sorted(video for share in shares for video in share) == list(range(len(lengths)))
    loads = [sum(lengths[video] for video in share) for share in shares]
    # The bound of greedy balancing: loads differ by at most the longest video.
    assert max(loads) - min(loads) <= max(lengths, default=0)


class Videos:
    """A dataset in test mode that lists clips by video."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths

    def clips_by_video(self) -> list[list[int]]:
        starts = [sum(self.lengths[:i]) for i in range(len(self.lengths))]
        return [list(range(s, s + n)) for s, n in zip(starts, self.lengths, strict=True)]


def test_each_rank_gets_whole_videos_in_order(as_rank):
    shares = []
    for rank in range(2):
        as_rank(rank, 2)
        sampler = VideoClipSampler(Videos(2, 5, 1, 3), seed=0)
        assert len(sampler) == len(list(sampler))
        shares.append(list(sampler))
    assert shares == [[2, 3, 4, 5, 6, 7], [0, 1, 8, 9, 10]]


def test_more_ranks_than_videos(as_rank):
    dealt = Counter()
    for rank in range(4):
        as_rank(rank, 4)
        dealt.update(list(VideoClipSampler(Videos(3, 2))))
    assert dealt == Counter(range(5))
    as_rank(3, 4)
    assert list(VideoClipSampler(Videos(3, 2))) == []


def test_dataset_without_videos_raises():
    with pytest.raises(ValueError, match='not range'):
        VideoClipSampler(range(3))
