"""Finds the device that a model runs on."""

import resource
import sys

import torch

from axialvs.utils.errors import AxialVSError


def find_device(name: str | torch.device | None = None) -> torch.device:
    """The device of a name; without one a GPU where torch sees one, else the CPU.

    Args:
        name: 'cpu', 'cuda', 'cuda:1' ...

    Raises:
        ValueError: it is not here; the message says what there is.
    """
    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        devices = ['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))]
        raise AxialVSError(f'device {name} is not here; there is {", ".join(devices)}') from error
    return device


_BYTES_OF_RSS_UNIT = 1 if sys.platform == 'darwin' else 1024  # macOS counts in bytes


def peak_resident_bytes() -> int:
    """Most memory that this process had resident so far, libraries and network included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_OF_RSS_UNIT
