"""Everything that is worth knowing on a GPU, in one run; small enough for a CPU on request."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from torch import nn
from torch.profiler import ProfilerActivity, profile

from axialvs.apis import init_segmenter, segment_video
from axialvs.config_files import find_config
from axialvs.inference.video_writer import VideoWriter
from axialvs.profiling.attention_suite import SHAPES, SMALL_SHAPES, attention_suite
from axialvs.profiling.memory import peak_extra_bytes
from axialvs.profiling.timing import median_ratio, time_in_turns, time_once

MIB = 2**20
WITHIN_CLIP = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021'
BASELINE = 'tube_link/tube-link_r50_8xb1-15k_youtubevis2021'
SMALL_WITHIN_CLIP = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'
SMALL_BASELINE = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes'
# Padded to what the backbone's strides divide: 2x769x1345 and 5x360x640.
CLIPS = ((2, 800, 1376), (5, 384, 640))
SMALL_CLIPS = ((2, 64, 96),)
VIDEOS, SMALL_VIDEOS = ((360, 640), (720, 1280)), ((64, 96),)
VIDEO_RATE = 25
_PROFILE_ROWS = 25


def gpu_suite(device: str, small: bool, rounds: int) -> dict[str, list[dict]]:
    """Attention in three types, the within-clip module against the baseline, and a profile.

    Args:
        device: where it runs.
        small: tiny models and shapes, not compiled: to see that everything runs.
        rounds: timed calls of each.

    Returns:
        Rows of a table, by its title.
    """
    types = (torch.float32, torch.float16, torch.bfloat16)
    shapes = SMALL_SHAPES if small else SHAPES
    attention = list(attention_suite(shapes, types, device, rounds))
    names = (SMALL_BASELINE, SMALL_WITHIN_CLIP) if small else (BASELINE, WITHIN_CLIP)
    models = {name: _build(name, device, compiled=not small) for name in names}
    clips = []
    for shape in SMALL_CLIPS if small else CLIPS:
        clips += _compare(models, shape, device, rounds)
    frames = _noise((SMALL_CLIPS if small else CLIPS)[-1], device)
    return {
        'attention': attention,
        'within-clip module against the baseline, bfloat16': clips,
        'file to masks, live': _from_file(models[names[1]], small),
        'where the time goes': _profile(models[names[1]], frames, device),
    }


def _from_file(model: nn.Module, small: bool) -> list[dict]:
    """Frames a second of the whole pipeline: a video file of noise is read and segmented."""
    rows = []
    sizes, length = (SMALL_VIDEOS, 8) if small else (VIDEOS, 120)
    with tempfile.TemporaryDirectory() as folder:
        for height, width in sizes:
            path = Path(folder) / f'{height}.mp4'
            images = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), np.uint8)
            with VideoWriter(path, VIDEO_RATE) as writer:
                for i in range(length):
                    writer.write(images[i % len(images)])
            # The first time pays for compilation.
            for _ in range(2):
                seconds = time_once(lambda path=path: list(segment_video(model, path)))
            rows.append({'video': f'{height}x{width}', 'frames_a_second': length / seconds})
    return rows


def _build(name: str, device: str, compiled: bool) -> nn.Module:
    model = init_segmenter(Config.fromfile(find_config(name)), device=device)
    if compiled:
        model.backbone.compile()
        model.panoptic_head.compile()
    return model


def _noise(shape: tuple[int, int, int], device: str) -> torch.Tensor:
    return torch.randn(shape[0], 3, *shape[1:], device=device)


def _predict(model: nn.Module, frames: torch.Tensor) -> None:
    with torch.autocast(frames.device.type, dtype=torch.bfloat16):
        model.predict_clip(frames)


def _compare(models: dict[str, nn.Module], shape, device: str, rounds: int) -> list[dict]:
    frames = _noise(shape, device)
    runs = {name: lambda x=model: _predict(x, frames) for name, model in models.items()}
    seconds = time_in_turns(runs, rounds, warm_up=3, device=device)
    mib = {name: peak_extra_bytes(run, device) / MIB for name, run in runs.items()}
    first = next(iter(models))
    return [
        {
            'config': name,
            'clip': 'x'.join(map(str, shape)),
            'frames_a_second': len(frames) / sorted(seconds[name])[rounds // 2],
            'time_ratio': median_ratio(seconds[name], seconds[first]),
            'extra_mib': mib[name],
            'memory_ratio': mib[name] / mib[first],
        }
        for name in models
    ]


def _profile(model: nn.Module, frames: torch.Tensor, device: str) -> list[dict]:
    """The operations that took most of one clip's time."""
    on_gpu = torch.device(device).type == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as record:
        _predict(model, frames)
    field = 'self_device_time_total' if on_gpu else 'self_cpu_time_total'
    events = sorted(record.key_averages(), key=lambda event: -getattr(event, field))
    return [
        {'operation': event.key, 'calls': event.count, 'ms': getattr(event, field) / 1e3}
        for event in events[:_PROFILE_ROWS]
    ]
