"""Tests of sampling from several datasets at fixed ratios."""

from collections import Counter
from itertools import islice

import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset

from axialvs.datasets.clip_dataset import ConcatClips
from axialvs.datasets.samplers import InfiniteClipSampler, RatioClipSampler
from axialvs.datasets.seeding import SampleIndex
from tiny_video_data import make_content, same


@pytest.fixture
def parts(build):
    """Return two datasets of unequal length."""
    return [build(make_content((5,))), build(make_content((6, 9)))]


def draw(dataset, count, rank=0, world=1, skip=0, seed=3):
    sampler = RatioClipSampler(dataset, ratios=(3, 1), seed=seed)
    sampler.rank, sampler.world_size = rank, world
    sampler.skip(skip)
    return list(islice(sampler, count))


def test_ratios_are_exact_and_no_clip_repeats_early(parts):
    dataset = ConcatClips(parts)
    first, second = map(len, parts)
    drawn = [item.clip for item in draw(dataset, 4 * first * second)]
    for block in range(0, len(drawn), 4):
        assert sum(index < first for index in drawn[block : block + 4]) == 3
    ofs = [i for i in drawn if i < first], [i for i in drawn if i >= first]
    for indices, size in zip(ofs, (first, second), strict=True):
        for start in range(0, len(indices), size):
            assert len(set(indices[start : start + size])) == size
    assert len({Counter(ofs[1])[i] for i in range(first, first + second)}) == 1


def test_resuming_and_ranks_follow_the_same_global_order(parts):
    dataset = ConcatClips(parts)
    everything = draw(dataset, 60)
    assert draw(dataset, 60) == everything
    assert draw(dataset, 60, seed=4) != everything
    assert draw(dataset, 37, skip=23) == everything[23:]
    for rank in range(3):
        assert draw(dataset, 20, rank=rank, world=3) == everything[rank::3]
        assert draw(dataset, 15, rank=rank, world=3, skip=5) == everything[rank + 15 :: 3]


def test_samples_equal_those_of_the_datasets(parts):
    dataset = ConcatClips(parts)
    assert isinstance(dataset, ConcatDataset)
    size = len(parts[0])
    assert same(dataset[SampleIndex(9, size + 1, 5)], parts[1][SampleIndex(9, 1, 5)])
    assert same(dataset[SampleIndex(9, 2, 5)], parts[0][SampleIndex(9, 2, 5)])
    assert same(dataset[size], parts[1][0])


def test_invalid_ratios(parts):
    dataset = ConcatClips(parts)
    for ratios, words in [((1,), '2 datasets'), ((1, 0), '1 or more'), ((1, 0.5), '0.5')]:
        with pytest.raises(ValueError, match=words):
            RatioClipSampler(dataset, ratios=ratios)
    with pytest.raises(ValueError, match='needs ConcatClips'):
        RatioClipSampler(parts[0], ratios=(1,))


def test_unsupported_dataset_wrappers(parts):
    plain = ConcatDataset(parts)
    with pytest.raises(ValueError, match='ConcatClips'):
        InfiniteClipSampler(plain)
    with pytest.raises(ValueError, match='ConcatClips'):
        RatioClipSampler(plain, ratios=(1, 1))
    with pytest.raises(ValueError, match='without the wrapper'):
        InfiniteClipSampler(RepeatDataset(parts[0], times=2))
