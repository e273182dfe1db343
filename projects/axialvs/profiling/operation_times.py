"""Which operations take the time of a call."""

from collections.abc import Callable

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from axialvs.profiling.timing import time_once

_ROWS = 25


def operation_times(function: Callable[[], object], device: str) -> list[dict]:
    """The operations that took most of one call's time.

    On a GPU these are its kernels and copies; where they add up to less than the call took without
    the profiler, the GPU waited for Python.

    Args:
        function: what to call; it has been called before.
        device: where it runs.

    Returns:
        First the whole call and all of its operations, then the longest of them: `operation`,
        `calls`, `ms` and `share` of all operations.
    """
    device = torch.device(device)
    on_gpu = device.type == 'cuda'
    whole = time_once(function, device) * 1e3
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as record:
        time_once(function, device)
    field = 'self_device_time_total' if on_gpu else 'self_cpu_time_total'
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    times = [
        (event.key, event.count, getattr(event, field) / 1e3)
        for event in record.key_averages()
        if event.device_type == wanted
    ]
    total = sum(ms for *_, ms in times)
    longest = sorted(times, key=lambda x: -x[2])[:_ROWS]
    return [
        {'operation': 'the call, without the profiler', 'calls': 1, 'ms': whole},
        {'operation': 'all operations', 'calls': sum(x[1] for x in times), 'ms': total},
        *(
            {'operation': key[:120].replace('|', ' '), 'calls': n, 'ms': ms, 'share': ms / total}
            for key, n, ms in longest
        ),
    ]
