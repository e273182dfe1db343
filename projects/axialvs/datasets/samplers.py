"""Samplers: infinite training clips, fixed ratios of datasets, and whole videos for testing."""

from collections.abc import Iterator, Sequence, Sized
from itertools import count
from typing import Protocol

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from numpy.typing import NDArray
from torch.utils.data import Sampler

from axialvs.datasets.clip_dataset import ConcatClips
from axialvs.datasets.seeding import SampleIndex
from axialvs.utils.errors import AxialVSError

_MIXING = 1  # separates the random stream of the dataset order from those of the clips


@DATA_SAMPLERS.register_module()
class InfiniteClipSampler(Sampler):
    """Infinite sampler whose global order does not depend on the number of processes.

    Every pass over the dataset has an order drawn from (seed, pass). Position p of the global order
    goes to rank p modulo the number of ranks, so two processes with a batch size of one load the
    same samples as one process with a batch size of two.

    Args:
        dataset: anything with a length.
        shuffle: whether to shuffle each pass; otherwise clips are in the dataset's order.
        seed: seed of the run, equal on all ranks; mmengine's Runner passes its own. None draws one
            and synchronizes it across ranks.

    Raises:
        AxialVSError: if the dataset is empty, or is a wrapper of mmengine that needs plain indices.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        _refuse_wrapper(dataset)
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = int(sync_random_seed() if seed is None else seed)
        self.size = len(dataset)
        self.num_skipped = 0
        if self.size == 0:
            raise AxialVSError('train_dataloader: the dataset has no clip to sample.')

    def __iter__(self) -> Iterator[SampleIndex]:
        """Yield this rank's samples, from the first one that is not skipped."""
        for step in count(self.num_skipped):
            position = step * self.world_size + self.rank
            yield SampleIndex(position, self._clip_at(position), self.seed)

    def _clip_at(self, position: int) -> int:
        number, offset = divmod(position, self.size)
        if getattr(self, '_pass', None) != number:
            self._pass, self._order = number, self._draw_order(self.size, number)
        return int(self._order[offset])

    def _draw_order(self, size: int, *key: int) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(size)
        return np.random.default_rng([self.seed, *key]).permutation(size)

    def skip(self, num_samples: int) -> None:
        """Skip the first `num_samples` samples of this rank in the next pass, without loading them.

        Called by `IterBasedTrainLoop` when a run is resumed.

        Args:
            num_samples: iterations done times the batch size.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples={num_samples}: must be 0 or more.')
        self.num_skipped = num_samples

    def __len__(self) -> int:
        """Return the number of clips in one pass over all ranks."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Ignore the epoch, because the order depends on the pass."""


def _refuse_wrapper(dataset: Sized) -> None:
    if isinstance(dataset, RepeatDataset):
        raise AxialVSError(
            'train_dataloader: RepeatDataset does not support infinite samplers, which need no '
            'repeats; use the dataset without the wrapper'
        )
    if isinstance(dataset, ConcatDataset) and not isinstance(dataset, ConcatClips):
        raise AxialVSError(
            'train_dataloader: ConcatDataset does not support infinite samplers; '
            'use ConcatClips with the same arguments'
        )


@DATA_SAMPLERS.register_module()
class RatioClipSampler(InfiniteClipSampler):
    """Infinite sampler over several datasets in fixed ratios.

    A block of sum(ratios) positions has exactly `ratios[d]` clips of dataset d. The order in a
    block is drawn from (seed, block), the order of a dataset from (seed, dataset, pass), and every
    clip occurs once per pass. Samples only depend on the seed and the position, so resuming is
    exact and ranks never share a position.

    Args:
        dataset: the concatenation, `ConcatClips`.
        ratios: one positive integer per dataset: (3, 1) draws three of four clips from the first.
        shuffle: whether to shuffle; otherwise each block lists the datasets in order.
        seed: as for `InfiniteClipSampler`.

    Raises:
        AxialVSError: if the dataset is not a concatenation, or the ratios do not fit it.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        ratios: Sequence[int],
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        if not isinstance(dataset, ConcatDataset):
            raise AxialVSError(f'RatioClipSampler needs ConcatClips, not {type(dataset).__name__}.')
        if len(ratios) != len(dataset.datasets):
            raise AxialVSError(f'ratios={ratios}: the config has {len(dataset.datasets)} datasets.')
        if any(type(ratio) is not int or ratio < 1 for ratio in ratios):
            raise AxialVSError(f'ratios={ratios}: integers of 1 or more are needed.')
        super().__init__(dataset, shuffle, seed)
        self.ratios = tuple(ratios)
        self.sizes = [len(part) for part in dataset.datasets]
        self._sources = np.repeat(np.arange(len(ratios)), ratios)
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def _clip_at(self, position: int) -> int:
        block, place = divmod(position, len(self._sources))
        sources = self._sources
        if self.shuffle:
            sources = np.random.default_rng([self.seed, _MIXING, block]).permutation(sources)
        source = int(sources[place])
        drawn = block * self.ratios[source] + int((sources[:place] == source).sum())
        number, offset = divmod(drawn, self.sizes[source])
        if self._orders.get(source, (None,))[0] != number:
            key = _MIXING + 1 + source, number
            self._orders[source] = number, self._draw_order(self.sizes[source], *key)
        return sum(self.sizes[:source]) + int(self._orders[source][1][offset])


class _VideoClips(Protocol):
    """A dataset that lists the clips of its videos in order."""

    def clips_by_video(self) -> Sequence[Sequence[int]]: ...


def balance_by_length(lengths: Sequence[int], num_ranks: int) -> list[list[int]]:
    """Distribute items over ranks: the longest first, each to the rank with the least so far.

    Args:
        lengths: cost of each item.
        num_ranks: number of ranks.

    Returns:
        For every rank the ascending indices of its items; empty if there are fewer items than
        ranks.
    """
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [0] * num_ranks
    for item in sorted(range(len(lengths)), key=lambda item: (-lengths[item], item)):
        rank = loads.index(min(loads))
        shares[rank].append(item)
        loads[rank] += lengths[item]
    return [sorted(share) for share in shares]


@DATA_SAMPLERS.register_module()
class VideoClipSampler(Sampler):
    """Sampler for testing: each rank gets whole videos, with their clips in order.

    Every video goes to exactly one rank. Ranks may get different numbers of clips and, with few
    videos, none at all.

    Args:
        dataset: a dataset in test mode with `clips_by_video()`, which gives for every video the
            indices of its clips in order.
        seed: ignored; mmengine's Runner passes it to every sampler.

    Raises:
        AxialVSError: if the dataset cannot list its clips by video.
    """

    def __init__(self, dataset: _VideoClips, seed: int | None = None) -> None:
        if not hasattr(dataset, 'clips_by_video'):
            raise AxialVSError(
                'VideoClipSampler needs a dataset of videos such as YouTubeVIS in test mode, '
                f'not {type(dataset).__name__}.'
            )
        rank, world_size = get_dist_info()
        clips = dataset.clips_by_video()
        share = balance_by_length([len(indices) for indices in clips], world_size)[rank]
        self.indices = [int(index) for video in share for index in clips[video]]

    def __iter__(self) -> Iterator[int]:
        """Yield this rank's clip indices, video after video."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Return the number of clips of this rank."""
        return len(self.indices)
