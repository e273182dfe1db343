"""The device that a model runs on, and the memory of the process."""

import functools
import os
import resource
import sys
from typing import TYPE_CHECKING

from axialvs.utils.errors import AxialVSError

if TYPE_CHECKING:
    import torch

_RSS_UNIT = 1 if sys.platform == 'darwin' else 1024  # bytes; macOS counts in bytes


def find_device(name: 'str | torch.device | None' = None) -> 'torch.device':
    """The device of a name; by default a GPU if torch sees one, else the CPU.

    Args:
        name: 'cpu', 'cuda', 'cuda:1' ...

    Raises:
        AxialVSError: if the device is not available.
    """
    import torch

    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        available = ', '.join(['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))])
        raise AxialVSError(f"device '{name}' is not available (available: {available})") from error
    return device


@functools.cache
def own_threads() -> int:
    """Number of CPU threads of torch before any model changed it."""
    import torch

    return torch.get_num_threads()


def limit_threads(number: int | None) -> None:
    """Set the number of CPU threads of torch for a model, unless OMP_NUM_THREADS is set.

    Small models gain nothing from more than one, and threads that wait for one another collapse on
    a busy machine.

    Args:
        number: the config's `num_threads`; None for the number that the process started with.
    """
    import torch

    if 'OMP_NUM_THREADS' not in os.environ:
        torch.set_num_threads(min(number or own_threads(), own_threads()))


def peak_resident_bytes() -> int:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
