"""Deals out clips of several data sets in fixed shares, without end."""

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import ConcatDataset
from numpy.typing import NDArray

from axialvs.datasets.sample_index import SampleIndex
from axialvs.datasets.samplers.infinite_clip_sampler import InfiniteClipSampler
from axialvs.utils.errors import AxialVSError

_MIXING = 1  # keeps the draws of the order of data sets apart from those of their clips


@DATA_SAMPLERS.register_module()
class RatioClipSampler(InfiniteClipSampler):
    """Blocks of sum(ratios) positions, each with exactly `ratios[d]` clips of data set d.

    The order in a block is drawn from (seed, block), a data set's own order from (seed, data
    set, pass): every clip of it comes once before any comes twice. A position says all, so a
    resumed run goes on exactly and ranks never share a position.

    Args:
        dataset: The concatenation, `ConcatClips`.
        ratios: One whole number, 1 or more, a data set: (3, 1) draws three of four clips from
            the first.
        shuffle: Whether to draw orders; else a data set's own, one after the other in a block.
        seed: Of the run, equal on all ranks. None takes one that the ranks agree on.

    Raises:
        ValueError: The data set is no concatenation, or the ratios do not fit it.
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
            raise AxialVSError(f'ratios={ratios}: there are {len(dataset.datasets)} data sets.')
        if any(type(ratio) is not int or ratio < 1 for ratio in ratios):
            raise AxialVSError(f'ratios={ratios}: whole numbers of 1 or more are needed.')
        super().__init__(dataset, shuffle, seed)
        self.ratios = tuple(ratios)
        self.sizes = [len(part) for part in dataset.datasets]
        self._sources = np.repeat(np.arange(len(ratios)), ratios)
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def __iter__(self) -> Iterator[SampleIndex]:
        """The samples of this rank, from the first one that was not skipped."""
        for step in count(self.num_skipped):
            position = step * self.world_size + self.rank
            yield SampleIndex(position, self._index_at(position), self.seed)

    def _index_at(self, position: int) -> int:
        block, place = divmod(position, len(self._sources))
        sources = self._sources
        if self.shuffle:
            sources = np.random.default_rng([self.seed, _MIXING, block]).permutation(sources)
        source = int(sources[place])
        drawn = block * self.ratios[source] + int((sources[:place] == source).sum())
        number, offset = divmod(drawn, self.sizes[source])
        return sum(self.sizes[:source]) + int(self._order(source, number)[offset])

    def _order(self, source: int, number: int) -> NDArray[np.int64]:
        """The order of one pass over one data set; the last one of each is kept."""
        known, order = self._orders.get(source, (-1, None))
        if known != number:
            order = np.arange(self.sizes[source])
            if self.shuffle:
                generator = np.random.default_rng([self.seed, _MIXING + 1 + source, number])
                order = generator.permutation(self.sizes[source])
            self._orders[source] = (number, order)
        return order
