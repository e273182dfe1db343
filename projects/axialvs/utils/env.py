"""Device and CPU threads of a model, and memory of the process."""

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
    """Return the device with a name, by default the GPU if available, else the CPU.

    Args:
        name: device name, such as 'cpu', 'cuda' or 'cuda:1'.

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
    """Return torch's number of CPU threads at startup, before any model changes it."""
    import torch

    return torch.get_num_threads()


def limit_threads(number: int | None) -> None:
    """Set the number of CPU threads of torch for a model, unless OMP_NUM_THREADS is set.

    Small models are not faster with more than one thread, and much slower on a busy machine, where
    threads wait for each other.

    Args:
        number: `num_threads` of the config; None for the number at startup.
    """
    import torch

    if 'OMP_NUM_THREADS' not in os.environ:
        torch.set_num_threads(min(number or own_threads(), own_threads()))


def peak_resident_bytes() -> int:
    """Return the peak resident memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
