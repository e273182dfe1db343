"""The device that a model runs on, and the memory of the process."""

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


def peak_resident_bytes() -> int:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
