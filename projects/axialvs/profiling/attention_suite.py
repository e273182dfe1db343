"""Trajectory attention against its eager twin, in the shapes in which the layers call it."""

import statistics
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from axialvs.functional.trajectory_attention import (
    TrajectoryProjections,
    TrajectorySpec,
    trajectory_attention,
    trajectory_attention_eager,
)
from axialvs.profiling.memory import peak_extra_bytes
from axialvs.profiling.timing import median_ratio, time_in_turns

CHANNELS, HEADS = 256, 8
MIB = 2**20
# (T, H, W) along height, then width, as one layer does; (K, Q) of clips and queries.
SHAPES = ((5, 23, 40), (5, 12, 20), (2, 23, 40), (2, 48, 84), (24, 100))
SMALL_SHAPES = ((2, 3, 4), (3, 5))
FORMS = {'eager': trajectory_attention_eager, 'fast': trajectory_attention}


def _sequences(shape: Sequence[int]) -> list[tuple[int, int]]:
    """(lines, tokens of a line) of each attention of a layer."""
    if len(shape) == 2:
        return [(1, shape[0] * shape[1])]
    frames, height, width = shape
    return [(width, frames * height), (height, frames * width)]


def _projections(dtype: torch.dtype, device: str) -> TrajectoryProjections:
    sizes = ((CHANNELS, CHANNELS), (CHANNELS,), (2 * CHANNELS, CHANNELS), (2 * CHANNELS,))
    scale = CHANNELS**-0.5
    return TrajectoryProjections(
        *(
            (torch.randn(size, dtype=dtype, device=device) * scale).requires_grad_()
            for size in sizes
        )
    )


def _runner(
    form: Callable, inputs: list[list[Tensor]], projections: TrajectoryProjections, frames, backward
) -> Callable[[], None]:
    scale = (CHANNELS // HEADS) ** -0.5

    def run() -> None:
        for sequences in inputs:
            with torch.set_grad_enabled(backward):
                out = form(*sequences, projections, TrajectorySpec(frames, HEADS, scale))
                out = out[0] if isinstance(out, tuple) else out
                if backward:
                    torch.autograd.grad(out.sum(), [*sequences, *projections])

    return run


def attention_suite(
    shapes: Sequence[Sequence[int]] = SHAPES,
    dtypes: Sequence[torch.dtype] = (torch.float32,),
    device: str = 'cpu',
    rounds: int = 7,
) -> Iterator[dict]:
    """Times both forms in turns and measures their peak memory.

    Args:
        shapes: (T, H, W) of a map, or (K, Q) of a video's clip queries.
        dtypes: of inputs and weights.
        device: where it runs.
        rounds: timed calls of each form.

    Yields:
        One row for each shape, type and pass: `shape`, `dtype`, `pass`, milliseconds and MiB of
        either form, `speedup` (median of the ratios within a round) and `memory_ratio`.
    """
    for dtype in dtypes:
        for shape in shapes:
            torch.manual_seed(0)
            projections = _projections(dtype, device)
            options = dict(dtype=dtype, device=device, requires_grad=True)
            inputs = [
                [torch.randn(lines, length, CHANNELS, **options) for _ in range(3)]
                for lines, length in _sequences(shape)
            ]
            for backward in (False, True):
                runs = {
                    name: _runner(form, inputs, projections, shape[0], backward)
                    for name, form in FORMS.items()
                }
                seconds = time_in_turns(runs, rounds, device=device)
                mib = {name: peak_extra_bytes(run, device) / MIB for name, run in runs.items()}
                yield {
                    'shape': 'x'.join(map(str, shape)),
                    'dtype': str(dtype).removeprefix('torch.'),
                    'pass': 'forward + backward' if backward else 'forward',
                    'eager_ms': statistics.median(seconds['eager']) * 1e3,
                    'fast_ms': statistics.median(seconds['fast']) * 1e3,
                    'speedup': median_ratio(seconds['eager'], seconds['fast']),
                    'eager_mib': mib['eager'],
                    'fast_mib': mib['fast'],
                    'memory_ratio': mib['fast'] / mib['eager'],
                }
