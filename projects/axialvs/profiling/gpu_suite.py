"""Everything that is worth knowing on a GPU, in one run; small enough for a CPU on request."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial

import torch
from mmengine import Config
from torch import nn

from axialvs.apis import init_segmenter
from axialvs.functional.ms_deform_attn import select_implementation
from axialvs.profiling.attention_suite import SHAPES, SMALL_SHAPES, attention_suite
from axialvs.profiling.clip_inference import compare_on_clip
from axialvs.profiling.operation_times import operation_times
from axialvs.profiling.video_throughput import video_throughput
from axialvs.utils.config_files import find_config

Table = tuple[str, list[dict]]

WITHIN_CLIP = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021'
BASELINE = 'tube_link/tube-link_r50_8xb1-15k_youtubevis2021'
SMALL_WITHIN_CLIP = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'
SMALL_BASELINE = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes'
# Padded to what the backbone's strides divide: 2x769x1345 and 5x360x640.
CLIPS = ((2, 800, 1376), (5, 384, 640))
SMALL_CLIPS = ((2, 64, 96),)
VIDEOS, VIDEO_FRAMES = ((360, 640), (720, 1280)), 120
SMALL_VIDEOS, SMALL_VIDEO_FRAMES = ((64, 96),), 6
TYPES = (torch.bfloat16, torch.float16, torch.float32)
FAILED = 'failed'
# What generates code takes minutes on a CPU; this only traces.
_SMALL_COMPILER = {'backend': 'eager'}


def gpu_suite(device: str, small: bool, rounds: int) -> Iterator[Table]:
    """Attention in three types, the within-clip module against the baseline, whole videos.

    The models are those of `init_segmenter` in bfloat16 and compiled. Each table comes as soon as
    it is measured, the quick ones first. What fails gives a row with the error in `failed`, its
    traceback goes to the error stream, and the rest goes on.

    Args:
        device: where it runs.
        small: tiny models and shapes, compiled without generated code: to see that everything
            runs.
        rounds: timed calls of each.

    Yields:
        Title and rows of a table.
    """
    names = (SMALL_BASELINE, SMALL_WITHIN_CLIP) if small else (BASELINE, WITHIN_CLIP)
    build = {name: partial(_build, name, device, small) for name in names}
    parts: list[tuple[str, Callable[[], Iterator[Table]]]] = [
        ('deformable attention', partial(_sampling, device))
    ]
    for dtype in TYPES:
        title = f'trajectory attention, {str(dtype).removeprefix("torch.")}'
        parts.append((title, partial(_attention, title, dtype, device, small, rounds)))
    for shape in SMALL_CLIPS if small else CLIPS:
        title = f'a clip of {"x".join(map(str, shape))} in bfloat16, compiled'
        parts.append((title, partial(_clip, title, build, shape, device, rounds)))
    for size in SMALL_VIDEOS if small else VIDEOS:
        title = f'from a {size[0]}x{size[1]} file to masks, live, in bfloat16, compiled'
        length = SMALL_VIDEO_FRAMES if small else VIDEO_FRAMES
        parts.append((title, partial(_video, title, build[names[1]], size, length, rounds)))
    for title, measure in parts:
        yield from _or_failure(title, measure)


def _or_failure(title: str, measure: Callable[[], Iterator[Table]]) -> Iterator[Table]:
    # Compiled anew: for a second size torch would otherwise generate code for any size, which is
    # slower, and which somebody with videos of one size never sees.
    torch.compiler.reset()
    with _CompilerWarnings() as warnings:
        try:
            yield from measure()
        except Exception as error:  # whatever it is, the other parts are still wanted
            yield f'{title}: broken off', [_failure(error)]
    if warnings.seen:
        yield f'{title}: warnings of the compiler', [{'warning': x} for x in warnings.seen]


def _failure(error: Exception) -> dict:
    """The error as a row; its traceback goes to the error stream."""
    traceback.print_exception(error, file=sys.stderr)
    return {FAILED: f'{type(error).__name__}: {_one_line(str(error))}'}


def _one_line(text: str) -> str:
    return ' '.join(text.split())[:300].replace('|', ' ')


class _CompilerWarnings(logging.Handler):
    """Collects what would make a time one of code that is not compiled, such as too many sizes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(_one_line(record.getMessage()))

    def __enter__(self) -> '_CompilerWarnings':
        logging.getLogger('torch._dynamo').addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        logging.getLogger('torch._dynamo').removeHandler(self)


def _build(name: str, device: str, small: bool) -> nn.Module:
    return init_segmenter(
        Config.fromfile(find_config(name)),
        device=device,
        precision=torch.bfloat16,
        compiled=_SMALL_COMPILER if small else True,
    )


def _sampling(device: str) -> Iterator[Table]:
    rows = []
    for dtype in TYPES:
        backend, reason = select_implementation(torch.device(device).type, dtype)
        rows.append({'values': str(dtype), 'backend': backend, 'because': reason})
    yield 'deformable attention', rows


def _attention(
    title: str, dtype: torch.dtype, device: str, small: bool, rounds: int
) -> Iterator[Table]:
    rows = []
    for shape in SMALL_SHAPES if small else SHAPES:
        try:
            rows += attention_suite((shape,), (dtype,), device, rounds)
        except Exception as error:  # such as too little memory for one shape
            rows.append({'shape': 'x'.join(map(str, shape)), **_failure(error)})
    yield title, rows


def _clip(title: str, build: dict, shape: tuple, device: str, rounds: int) -> Iterator[Table]:
    models: dict[str, nn.Module] = {}
    frames = torch.randn(shape[0], 3, *shape[1:], device=device)
    yield title, compare_on_clip(build, models, frames, rounds)
    for name, model in models.items():
        rows = operation_times(partial(model.predict_clip, frames), device)
        yield f'{title}: operations of {name}', rows


def _video(
    title: str, build: Callable[[], nn.Module], size: tuple, length: int, rounds: int
) -> Iterator[Table]:
    yield title, [video_throughput(build(), *size, length, rounds)]
