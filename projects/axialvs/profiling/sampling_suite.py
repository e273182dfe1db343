"""Both forms of deformable sampling in PyTorch, in the shapes in which pixel decoders call it."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from axialvs.functional.ms_deform_attn import (
    Shape,
    ms_deform_attn_embedding_bag,
    ms_deform_attn_grid_sample,
)
from axialvs.profiling.memory import peak_extra_bytes
from axialvs.profiling.timing import median_ratio, time_in_turns

MIB = 2**20
NUM_POINTS = 4
FORMS = {'grid_sample': ms_deform_attn_grid_sample, 'embedding_bag': ms_deform_attn_embedding_bag}


class SamplingShape(NamedTuple):
    """A call of an encoder layer: every pixel of three levels is a query."""

    frames: int
    levels: tuple[Shape, ...]  # (height, width) at strides 32, 16, 8
    heads: int
    head_channels: int


def _levels(height: int, width: int) -> tuple[Shape, ...]:
    return tuple((height // stride, width // stride) for stride in (32, 16, 8))


SHAPES = (
    SamplingShape(5, _levels(384, 640), 8, 32),  # ResNet-50 and Swin-L
    SamplingShape(3, _levels(96, 160), 4, 16),  # the tiny models
)
SMALL_SHAPES = (SamplingShape(1, ((1, 2), (2, 4)), 2, 4),)


def _runner(form: Callable, shape: SamplingShape, backward: bool) -> Callable[[], None]:
    torch.manual_seed(0)
    pixels = sum(height * width for height, width in shape.levels)
    per_query = (shape.frames, pixels, shape.heads, len(shape.levels), NUM_POINTS)
    value = torch.randn(shape.frames, pixels, shape.heads, shape.head_channels)
    inputs = (value, torch.rand(*per_query, 2), torch.rand(per_query))
    inputs = [x.requires_grad_(backward) for x in inputs]

    def run() -> None:
        with torch.set_grad_enabled(backward):
            out = form(inputs[0], shape.levels, *inputs[1:])
            if backward:
                torch.autograd.grad(out.sum(), inputs)

    return run


def sampling_suite(shapes: Sequence[SamplingShape] = SHAPES, rounds: int = 7) -> Iterator[dict]:
    """Times both forms in turns on the CPU and measures their peak memory.

    Args:
        shapes: of the calls.
        rounds: timed calls of each form.

    Yields:
        One row for each shape and pass: `shape` (frames x height x width at stride 8),
        `head_channels`, `pass`, milliseconds and MiB of either form, `speedup` of the
        embedding bag (median of the ratios within a round) and the form that is `chosen`.
    """
    for shape in shapes:
        for backward in (False, True):
            runs = {name: _runner(form, shape, backward) for name, form in FORMS.items()}
            seconds = time_in_turns(runs, rounds)
            row = {
                'shape': 'x'.join(map(str, (shape.frames, *shape.levels[-1]))),
                'head_channels': shape.head_channels,
                'pass': 'forward + backward' if backward else 'forward',
            }
            for name, run in runs.items():
                row[f'{name}_ms'] = statistics.median(seconds[name]) * 1e3
                row[f'{name}_mib'] = peak_extra_bytes(run) / MIB
            yield {
                **row,
                'speedup': median_ratio(seconds['grid_sample'], seconds['embedding_bag']),
                'chosen': 'grid_sample' if backward else 'embedding_bag',
            }
