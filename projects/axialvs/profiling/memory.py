"""Peak memory of the tensors of a function."""

import gc
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

_MEMORY_EVENT = '[memory]'


def peak_extra_bytes(function: Callable[[], object], device: torch.device | str = 'cpu') -> int:
    """Most bytes of tensors that one call held at once, beyond those alive before it.

    On a CPU every allocation of torch is recorded, buffers inside of kernels too; on a GPU the
    caching allocator counts by itself. The result of the call is part of it.

    Args:
        function: what to call.
        device: where it runs.
    """
    device = torch.device(device)
    if device.type == 'cuda':
        return _peak_on_gpu(function, device)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        result = function()
    del result
    held = peak = 0
    for size in _allocations(record):
        held += size
        peak = max(peak, held)
    return peak


def held_bytes(function: Callable[[], object], device: torch.device | str = 'cpu') -> int:
    """Bytes of tensors that one call leaves alive, such as those of a model that it builds.

    Args:
        function: what to call; what it returns is not kept.
        device: where it runs.
    """
    device = torch.device(device)
    gc.collect()
    if device.type == 'cuda':
        before = torch.cuda.memory_allocated(device)
        function()
        gc.collect()
        torch.cuda.synchronize(device)
        return torch.cuda.memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        function()
        gc.collect()
    return sum(_allocations(record))


def _allocations(record: profile) -> list[int]:
    """Signed sizes of all allocations and releases on the CPU, in order of time."""
    events = [
        event for event in record.profiler.kineto_results.events() if event.name() == _MEMORY_EVENT
    ]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def _peak_on_gpu(function: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    function()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
