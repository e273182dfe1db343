"""Synchronize a number across the processes of a run."""

import torch
from mmengine.dist import get_world_size
from torch import distributed


class Agreement:
    """All-reduce a number over a CPU process group, which does not block GPUs."""

    def __init__(self) -> None:
        self._group = None

    def start(self) -> None:
        """Create the group; all processes call this once they are connected."""
        if get_world_size() > 1 and distributed.get_backend() != 'gloo':
            self._group = distributed.new_group(backend='gloo')

    def maximum(self, number: int) -> int:
        """Return the maximum over all processes."""
        if get_world_size() == 1:
            return number
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._group)
        return int(largest)
