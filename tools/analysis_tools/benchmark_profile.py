"""Profile the operators of a clip, relative to the throughput of a matrix product."""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch
from benchmark_cases import build, milliseconds
from torch.profiler import ProfilerActivity, profile

MATRIX_PRODUCTS = ('aten::mm', 'aten::addmm', 'aten::bmm', 'aten::baddbmm')
CPU_SIDE, GPU_SIDE = 1024, 8192  # size of the square matrices of the reference product
SMALLEST_SHARE = 0.01  # of the time; operators below it are summed up in one row


def profile_rows(args: Namespace, config: str, shape: Sequence[int]) -> list[dict]:
    """Profile the operators of a clip (T, H, W), the slowest first.

    Times exclude nested operators. GFLOPs are those of convolutions and matrix products; a
    multiply-add is one.
    """
    model = build(args, config)
    call = partial(model.predict_clip, torch.randn(shape[0], 3, *shape[1:], device=args.device))
    side = GPU_SIDE if args.device.type == 'cuda' else CPU_SIDE
    matrix = torch.randn(side, side, device=args.device, dtype=getattr(torch, args.dtype))
    product_ms = milliseconds({'': partial(torch.mm, matrix, matrix)}, args.rounds, args.device)['']
    fastest = side**3 / 1e6 / product_ms  # GFLOP/s
    call()  # compiles
    times, gflops = profile_operators(call, args.device)
    total = times.total()

    def row(operator: str, ms: float, gflops: float = 0.0) -> dict:
        speed = gflops / ms * 1e3 if ms else 0.0
        columns = {'operator': operator, 'ms': ms, 'share, %': 100 * ms / total}
        return columns | {'GFLOP/s': speed or '-', 'of a matrix product': speed / fastest or '-'}

    large = {x: ms for x, ms in times.most_common() if ms >= SMALLEST_SHARE * total}
    rows = [row(name, ms, gflops[name]) for name, ms in large.items()]
    rows.append(row('others', total - sum(large.values())))
    product = row(f'a matrix product of {side}', product_ms, side**3 / 1e9)
    return [*rows, product | {'share, %': '-'}]


def profile_operators(
    call: Callable[[], object], device: torch.device
) -> tuple[Counter[str], Counter[str]]:
    """Measure milliseconds and GFLOPs of a call by operator.

    On a GPU, times are those of the kernels that an operator launches.
    """
    on_gpu = device.type == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, with_flops=True, record_shapes=True) as record:
        call()
        if on_gpu:
            torch.cuda.synchronize()
    times: Counter[str] = Counter()
    gflops: Counter[str] = Counter()
    for event in record.key_averages():
        name = 'convolutions' if 'conv' in event.key else event.key
        name = 'matrix products' if name in MATRIX_PRODUCTS else name
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        times[name] += microseconds / 1e3
        if name in ('convolutions', 'matrix products'):
            gflops[name] += event.flops / 2e9
    return times, gflops
