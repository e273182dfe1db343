"""Measurements of benchmark.py on models: clips, trajectory attention and videos."""

import importlib.util
import os
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmengine.utils import get_installed_path
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from axialvs.apis import init_segmenter, segment_video
from axialvs.datasets.moving_shapes.video import generate_video
from axialvs.functional import trajectory_attention as functional
from axialvs.functional.trajectory_attention import TrajectoryProjections, TrajectorySpec
from axialvs.layers import trajectory_attention as layer
from axialvs.utils.config_files import read_config
from axialvs.utils.env import find_device, peak_resident_bytes

MIB = 2**20
CHANNELS, HEADS = 256, 8
NUM_OBJECTS = 4  # of a training sample
STOCK_CONFIG = '.mim/configs/mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py'


def set_up(args: Namespace) -> list[dict]:
    """Set device and threads; return a row that describes the machine."""
    args.device = find_device(args.device)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    on_gpu = args.device.type == 'cuda'
    if on_gpu:
        torch.cuda.set_device(args.device.index or 0)
    device = torch.cuda.get_device_name(args.device) if on_gpu else 'CPU'
    threads = f'{torch.get_num_threads()} of {os.cpu_count()} cores'
    return [{'device': device, 'threads': threads, 'torch': torch.__version__}]


# Measuring


def time_once(call: Callable[[], object], device: torch.device) -> float:
    """Measure the seconds of one call, including the work that it launched on the device."""
    synchronize = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    synchronize()
    start = time.perf_counter()
    call()
    synchronize()
    return time.perf_counter() - start


def milliseconds(
    calls: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, float]:
    """Measure the median milliseconds of each call, alternately and after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    untimed = 3 if device.type == 'cuda' else 1
    for _ in range(untimed + rounds):
        for name, call in calls.items():
            seconds[name].append(time_once(call, device))
    return {name: statistics.median(x[untimed:]) * 1e3 for name, x in seconds.items()}


def peak_mib(call: Callable[[], object], device: torch.device) -> float:
    """Measure the peak memory of tensors allocated during a call, in MiB."""
    if device.type == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    events = [x for x in record.profiler.kineto_results.events() if x.name() == '[memory]']
    events.sort(key=lambda event: event.start_ns())
    return max(np.cumsum([0, *(event.nbytes() for event in events)])) / MIB


def count_gflops(call: Callable[[], object], as_defined: bool) -> float:
    """Count matrix products, convolutions, attention and sampling; a multiply-add is one.

    Args:
        call: forward pass without gradients; on the device 'meta', nothing is computed.
        as_defined: count the operations of the definitions (eager trajectory attention; four
            corners and a weight per deformable sample) instead of those of the implementations.
    """
    per_sample = 5 if as_defined else 4

    def grid_sample(value: Sequence[int], grid: Sequence[int], *_, **__) -> int:
        return 2 * per_sample * prod(grid[:-1]) * value[1]

    def embedding_bag(weight: Sequence[int], indices: Sequence[int], *_, **__) -> int:
        return 2 * per_sample * prod(indices) // 4 * weight[1]  # an index is a corner

    formulas = {
        torch.ops.aten.grid_sampler_2d: grid_sample,
        torch.ops.aten._embedding_bag: embedding_bag,
        torch.ops.aten._embedding_bag_forward_only: embedding_bag,
    }
    attend = eager if as_defined else layer.trajectory_attention
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with torch.no_grad(), counter, mock.patch.object(layer, 'trajectory_attention', attend):
        call()
    return counter.get_total_flops() / 2 / 1e9  # torch counts a multiply-add as two


# Trajectory attention: forms with the arguments of `trajectory_attention`


def eager(*inputs) -> Tensor:
    """The equations."""
    return functional.trajectory_attention_eager(*inputs)[0]


def composed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    projections: TrajectoryProjections,
    spec: TrajectorySpec,
) -> Tensor:
    """Run `scaled_dot_product_attention` frame by frame, then temporal attention."""
    query, key, value = (functional.split_heads(x, spec.num_heads) for x in (query, key, value))
    frames = zip(key.chunk(spec.num_frames, 2), value.chunk(spec.num_frames, 2), strict=True)
    tokens = [F.scaled_dot_product_attention(query, k, v, scale=spec.scale) for k, v in frames]
    tokens = torch.stack([x.transpose(1, 2).flatten(2) for x in tokens], 2)
    own = functional.diagonal(tokens.unflatten(1, (spec.num_frames, -1)))
    return functional.temporal_attention(tokens, own, projections, spec)


def fused(*inputs) -> Tensor:
    """Triton's kernels."""
    from axialvs.functional.trajectory_attention_triton import trajectory_attention_triton

    *tensors, spec = inputs
    return trajectory_attention_triton(*tensors, *spec[:3])


def attention_row(
    shape: Sequence[int], backward: bool, dtype: str, device: torch.device, rounds: int
) -> dict:
    """Measure milliseconds and peak MiB of all implementations of trajectory attention.

    Args:
        shape: (T, H, W) of a map, for height and width attention as in a layer, or (K, Q) of a
            video's clip queries.
        backward: whether to include the backward pass.
        dtype: dtype of inputs and weights.
        device: device of inputs and weights.
        rounds: timed calls of each implementation.
    """

    def draw(*size: int, factor: float = 1.0) -> Tensor:
        x = torch.randn(*size, device=device) * factor
        return x.to(getattr(torch, dtype)).requires_grad_()

    c, (frames, *sides) = CHANNELS, shape
    sizes = ((c, c), (c,), (2 * c, c), (2 * c,))
    projections = TrajectoryProjections(*(draw(*size, factor=c**-0.5) for size in sizes))
    spec = TrajectorySpec(frames, HEADS, (c // HEADS) ** -0.5)
    lines = [(1, *sides)] if len(sides) == 1 else [sides[::-1], sides]
    sequences = [[draw(batch, frames * n, c) for _ in range(3)] for batch, n in lines]

    def run(form: Callable) -> None:
        for inputs in sequences:
            with torch.set_grad_enabled(backward):
                out = form(*inputs, projections, spec)
            if backward:
                torch.autograd.grad(out.sum(), [*inputs, *projections])

    forms = {'eager': eager, 'chunked': functional.chunked_trajectory_attention}
    forms['composed'] = composed
    best = 'chunked'
    if device.type == 'cuda' and importlib.util.find_spec('triton'):
        from axialvs.functional.trajectory_attention_triton import RUNS_HERE

        if RUNS_HERE:
            forms['fused'], best = fused, 'fused'
    calls = {name: partial(run, form) for name, form in forms.items()}
    ms = milliseconds(calls, rounds, device)
    mib = {name: peak_mib(call, device) for name, call in calls.items()}
    row: dict[str, Any] = {'shape': 'x'.join(map(str, shape))}
    row['pass'] = 'forward + backward' if backward else 'forward'
    row |= {f'{name}, ms': x for name, x in ms.items()}
    row |= {f'{name}, MiB': x for name, x in mib.items()}
    row |= {f'{name} / {best}': ms[name] / ms[best] for name in ('eager', 'composed')}
    return {**row, f'MiB, {best} / eager': mib[best] / mib['eager']}


# Clips


def build(args: Namespace, config: str | Config, checkpoint: str | None = None) -> Any:
    """Build a segmenter with the device, type and compilation of the options."""
    half = None if args.dtype == 'float32' else getattr(torch, args.dtype)
    return init_segmenter(config, checkpoint, args.device, half, args.compile)


def work_row(config: str, shape: Sequence[int]) -> dict:
    """Count GFLOPs and parameters of a config for a clip (T, H, W)."""
    model = init_segmenter(config, device='meta').requires_grad_(False)
    call = partial(model.predict_clip, torch.empty(shape[0], 3, *shape[1:], device='meta'))
    return {
        'config': Path(config).stem,
        'GFLOPs, as defined': count_gflops(call, as_defined=True),
        'GFLOPs, executed': count_gflops(call, as_defined=False),
        'parameters, M': sum(x.numel() for x in model.parameters()) / 1e6,
    }


def clip_rows(args: Namespace, shape: Sequence[int]) -> list[dict]:
    """Measure time and memory of a clip (T, H, W) for all `args.configs`, alternately."""
    models = {config: build(args, config) for config in args.configs}
    frames = torch.randn(shape[0], 3, *shape[1:], device=args.device)
    calls = {config: partial(model.predict_clip, frames) for config, model in models.items()}
    ms = milliseconds(calls, args.rounds, args.device)
    rows = []
    for config, model in models.items():
        weights = sum(x.numel() * x.element_size() for x in model.state_dict().values()) / MIB
        row = {'dtype': args.dtype, 'compiled': args.compile, 'ms': ms[config]}
        row |= {'frames/s': shape[0] / ms[config] * 1e3, 'weights, MiB': weights}
        row['forward, MiB'] = peak_mib(calls[config], args.device)
        if not args.no_train:
            step = partial(_training_step, model, frames, args.dtype)
            row['training step, ms'] = milliseconds({'': step}, args.rounds, args.device)['']
            model.zero_grad(set_to_none=True)
            row['training step, MiB'] = peak_mib(step, args.device)
            model.zero_grad(set_to_none=True)
        row['time, times the first'] = row['ms'] / ms[args.configs[0]]
        rows.append(row)
    return rows


def _training_step(model: nn.Module, frames: Tensor, dtype: str) -> None:
    """Run a forward and a backward pass under autocast."""
    model.train().zero_grad(set_to_none=True)
    with torch.autocast(frames.device.type, getattr(torch, dtype), enabled=dtype != 'float32'):
        losses = model.loss(frames[None], [training_sample(*frames.shape)])
    sum(losses.values()).backward()
    model.eval()


def training_sample(num_frames: int, _: int, height: int, width: int) -> TrackDataSample:
    """Annotate a clip with static boxes."""
    masks = np.zeros((NUM_OBJECTS, height, width), np.uint8)
    for i, mask in enumerate(masks):
        mask[i * height // NUM_OBJECTS : (i + 1) * height // NUM_OBJECTS, : width // 2] = 1
    objects = InstanceData(
        labels=torch.zeros(NUM_OBJECTS, dtype=torch.long),
        instances_ids=torch.arange(NUM_OBJECTS),
        masks=BitmapMasks(masks, height, width),
    )
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(gt_instances=objects) for _ in range(num_frames)]
    return sample


# Videos


def video_row(args: Namespace) -> dict:
    """Measure speed (after the first clip) and peak memory on a video or a generated stream."""
    settings = read_config(args.config, args.cfg_options)
    model = build(args, settings, args.checkpoint)
    ((length,), (protocol,)) = args.lengths, args.protocols
    frames = args.video or MovingShapes(args.size, length)
    thr = {} if args.score_thr is None else {'score_thr': args.score_thr}
    result = segment_video(model, frames, args.mode, protocol, max_frames=length, **thr)
    clips = iter(result)
    start_frames = len(next(clips).frame_indices)
    start = time.perf_counter()
    for _ in clips:
        pass
    tracks = len(result.tracks())
    speed = (result.num_frames - start_frames) / (time.perf_counter() - start)
    row = {'config': Path(args.config).stem, 'frames': result.num_frames, 'tracks': tracks}
    return {**row, 'frames/s': speed, 'peak, MiB': peak_resident_bytes() / MIB}


class MovingShapes:
    """Generate frames of a synthetic video on the fly, played forward and backward in turn."""

    def __init__(self, size: Sequence[int], length: int) -> None:
        frames = generate_video('demo', seed=0, index=0, split='valid').frames
        self._turn = [cv2.resize(x, tuple(size[::-1])) for x in (*frames, *frames[-2:0:-1])]
        self._length = length

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._turn[i % len(self._turn)] for i in range(self._length))


@torch.no_grad()
def network_row(args: Namespace) -> dict:
    """Measure time and memory of a model from frames at 384x640 to masks at 720x1280.

    mmdet's Mask2Former-VIS R50 processes the video as one clip and returns its 10 tracks as arrays;
    ours processes clip by clip and returns the 100 best (query, class) pairs as RLE.
    """
    if args.config == 'mmdet':
        stock = Config.fromfile(Path(get_installed_path('mmdet')) / STOCK_CONFIG)
        stock.model.init_cfg = stock.model.backbone.init_cfg = None
        init_default_scope('mmdet')
        model = MODELS.build(stock.model).eval()
        name, clip_length = "mmdet's Mask2Former-VIS R50", args.frames
    else:
        model = build(args, args.config)
        name, clip_length = Path(args.config).stem, model.clip_length
    frames = torch.randn(args.frames, 3, 384, 640)
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, args.frames, clip_length):
        clip = frames[start : start + clip_length]
        info = dict(batch_input_shape=(384, 640), img_shape=(360, 640), ori_shape=(720, 1280))
        info |= dict(video_id=1, video_length=args.frames, clip_start=start, num_padded_frames=0)
        info['clip_is_last'] = start + len(clip) >= args.frames
        sample = TrackDataSample()
        sample.video_data_samples = [DetDataSample(metainfo=info) for _ in clip]
        model.predict(clip[None], [sample])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    row = {'network': name, 's': wall, 's a frame': wall / args.frames}
    return {
        **row,
        'CPU s a frame': cpu / args.frames,
        'peak, GiB': peak_resident_bytes() / 2**30,
    }
