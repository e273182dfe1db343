"""Deals out whole videos to the processes of a test, clip by clip and balanced by length."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from axialvs.utils.errors import AxialVSError


class _VideoClips(Protocol):
    """A data set that lists the clips of its videos in order."""

    def clips_by_video(self) -> Sequence[Sequence[int]]: ...


def deal_out(lengths: Sequence[int], num_ranks: int) -> list[list[int]]:
    """Shares items among ranks: the longest first, each to the rank that has least so far.

    Args:
        lengths: Work that each item means.
        num_ranks: Number of shares.

    Returns:
        For every rank the indices of its items, rising. Each item is in exactly one share; with
        fewer items than ranks some shares are empty.
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
    """Gives each rank whole videos and their clips in order: no video twice, none lost.

    Ranks may get different numbers of clips and, with few videos, none at all.

    Args:
        dataset: A data set in test mode, with `clips_by_video()`: for every video the indices of
            its clips in order.
        seed: Not used; mmengine's Runner passes it to every sampler.

    Raises:
        ValueError: The data set cannot list its clips by video.
    """

    def __init__(self, dataset: _VideoClips, seed: int | None = None) -> None:
        if not hasattr(dataset, 'clips_by_video'):
            raise AxialVSError(
                f'VideoClipSampler needs a data set of videos such as YouTubeVIS in test mode, '
                f'not {type(dataset).__name__}.'
            )
        self.rank, self.world_size = get_dist_info()
        clips = dataset.clips_by_video()
        share = deal_out([len(indices) for indices in clips], self.world_size)[self.rank]
        self.indices = [int(index) for video in share for index in clips[video]]

    def __iter__(self) -> Iterator[int]:
        """Clip indices of this rank, video after video."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Clips of this rank."""
        return len(self.indices)
