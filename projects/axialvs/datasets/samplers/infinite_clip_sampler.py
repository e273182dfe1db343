"""Deals out training clips without end, the same ones whatever the number of processes."""

from collections.abc import Iterator, Sized
from itertools import count

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from numpy.typing import NDArray
from torch.utils.data import Sampler

from axialvs.datasets.concat_clips import ConcatClips
from axialvs.datasets.sample_index import SampleIndex
from axialvs.utils.errors import AxialVSError


@DATA_SAMPLERS.register_module()
class InfiniteClipSampler(Sampler):
    """Passes over the data set in orders drawn from (seed, pass), without end.

    There is one global order; its position p goes to rank p modulo the number of ranks, so two
    processes with a batch of one see together what one process sees with a batch of two.

    Args:
        dataset: Anything with a length.
        shuffle: Whether to draw an order for each pass; else the data set's own.
        seed: Of the run, equal on all ranks. None takes one that the ranks agree on. mmengine's
            Runner passes its own.

    Raises:
        ValueError: The data set is empty, or a wrapper of mmengine's, which takes plain indices.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        _refuse_wrapper(dataset)
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = int(sync_random_seed() if seed is None else seed)
        self.size = len(dataset)
        self.num_skipped = 0
        if self.size == 0:
            raise AxialVSError('The training data set has no clip to sample from.')

    def __iter__(self) -> Iterator[SampleIndex]:
        """The samples of this rank, from the first one that was not skipped."""
        order_pass, order = -1, np.zeros(0, dtype=np.int64)
        for step in count(self.num_skipped):
            position = step * self.world_size + self.rank
            current_pass, offset = divmod(position, self.size)
            if current_pass != order_pass:
                order_pass, order = current_pass, self._order_of_pass(current_pass)
            yield SampleIndex(position, int(order[offset]), self.seed)

    def _order_of_pass(self, number: int) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(self.size)
        return np.random.default_rng([self.seed, number]).permutation(self.size)

    def skip(self, num_samples: int) -> None:
        """Starts the next iteration behind so many samples of this rank.

        `IterBasedTrainLoop` calls it with the iterations done times the batch size when a run
        is resumed. Nothing is loaded for the samples that are left out.

        Args:
            num_samples: Counted from the run's beginning.
        """
        if num_samples < 0:
            raise AxialVSError(f'num_samples={num_samples}: must be 0 or more.')
        self.num_skipped = num_samples

    def __len__(self) -> int:
        """Clips of the data set: what one pass over all ranks holds."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: there is no epoch."""


def _refuse_wrapper(dataset: Sized) -> None:
    if isinstance(dataset, RepeatDataset):
        raise AxialVSError(
            'train_dataloader: RepeatDataset does not take the samples of an endless sampler, '
            'which needs no repeats; give its data set itself'
        )
    if isinstance(dataset, ConcatDataset) and not isinstance(dataset, ConcatClips):
        raise AxialVSError(
            'train_dataloader: ConcatDataset does not take the samples of an endless sampler; '
            'name ConcatClips instead, with the same arguments'
        )
