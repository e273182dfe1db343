"""What benchmark.py measures: trajectory attention, segmenters, videos, evaluation.

Each case is a class, so that benchmark.py can keep an object of it in a process of its own.
"""

import contextlib
import importlib.util
import io
import json
import os
import platform
import statistics
import sys
import tempfile
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
from mmdet.evaluation.functional import YTVIS, YTVISeval
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmengine.utils import get_installed_path
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from axialvs.apis import init_segmenter, segment_video
from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.datasets.moving_shapes.video import generate_video
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import evaluate_panoptic
from axialvs.evaluation.results import read_results
from axialvs.evaluation.youtube_vis import evaluate_tracks
from axialvs.functional import trajectory_attention as functional
from axialvs.functional.ms_deform_attn import select_implementation
from axialvs.functional.trajectory_attention import TrajectoryProjections, TrajectorySpec
from axialvs.layers import trajectory_attention as layer
from axialvs.utils.config_files import find_config
from axialvs.utils.env import peak_resident_bytes
from axialvs.utils.rle import encode_mask

MIB = 2**20
CHANNELS, HEADS = 256, 8
NUM_OBJECTS = 4  # of a training sample
STOCK_CONFIG = '.mim/configs/mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py'
AP_NAMES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl')


# Measuring


def time_once(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call and of the work that it started on the device."""
    synchronize = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    synchronize()
    start = time.perf_counter()
    call()
    synchronize()
    return time.perf_counter() - start


def milliseconds_in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, float]:
    """Median milliseconds of each call, after one untimed round; calls alternate.

    On a GPU, kernels that take less time than their launches are timed by Triton's benchmark:
    device time between events, with a cold L2 cache.
    """
    if device.type == 'cuda':
        from triton.testing import do_bench

        return {
            name: do_bench(x, warmup=10, rep=40, return_mode='median') for name, x in calls.items()
        }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            seconds[name] += [time_once(call, device)] if turn else [call()][:0]
    return {name: statistics.median(x) * 1e3 for name, x in seconds.items()}


def peak_extra_mib(call: Callable[[], object], device: torch.device) -> float:
    """Most MiB of tensors alive at once during a call beyond those alive before."""
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


def longest_operations(call: Callable[[], object], device: torch.device) -> list[dict]:
    """Rows of the 20 operations, on a GPU kernels, that take most of a call.

    If all operations together take less than the call, the GPU waited for Python.
    """
    on_gpu = device.type == 'cuda'
    rows = [{'operation': 'call without profiler', 'ms': time_once(call, device) * 1e3}]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as record:
        time_once(call, device)
    field = 'self_device_time_total' if on_gpu else 'self_cpu_time_total'
    kind = torch.autograd.DeviceType.CUDA if on_gpu else torch.autograd.DeviceType.CPU
    events = [
        {'operation': x.key[:120], 'calls': x.count, 'ms': getattr(x, field) / 1e3}
        for x in record.key_averages()
        if x.device_type == kind
    ]
    total = sum(x['ms'] for x in events)
    rows.append({'operation': 'all', 'calls': sum(x['calls'] for x in events), 'ms': total})
    events.sort(key=lambda event: -event['ms'])
    return rows + [{**event, 'share': event['ms'] / total} for event in events[:20]]


def count_gflops(call: Callable[[], object], as_defined: bool) -> float:
    """Count matrix products, convolutions, attention and sampling; a multiply-add is one.

    Args:
        call: forward pass of parameters that need no gradients; computes nothing on device 'meta'.
        as_defined: count what papers write down, trajectory attention in its eager form and four
            corners and a weight per deformable sample, instead of what runs.
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
    """`scaled_dot_product_attention` frame by frame, then temporal attention."""
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


class AttentionCase:
    """Forms of trajectory attention on random inputs.

    Args:
        shapes: (T, H, W) of a map, whose height and width attention a layer computes, or (K, Q) of
            a video's clip queries.
        dtype: of inputs and weights.
        device: where it runs.
        warm_up: whether to compile all kernels now.
    """

    def __init__(
        self, shapes: Sequence[Sequence[int]], dtype: str, device: str, warm_up: bool = False
    ) -> None:
        torch.manual_seed(0)
        self.shapes, self.dtype, self.device = shapes, getattr(torch, dtype), torch.device(device)
        chunked = functional.chunked_trajectory_attention
        self.forms: dict[str, Callable] = dict(eager=eager, chunked=chunked, composed=composed)
        # Triton's interpreter cannot multiply bfloat16.
        interpreted = os.environ.get('TRITON_INTERPRET') == '1' and dtype != 'bfloat16'
        if importlib.util.find_spec('triton') and (self.device.type == 'cuda' or interpreted):
            self.forms['fused'] = fused
        for call in [c for x in shapes if warm_up for c in self._calls(x, True).values()]:
            call()

    def _inputs(self, shape: Sequence[int], max_lines: int) -> tuple:
        """Projections, spec and (query, key, value) of each attention of a layer."""

        def draw(*size: int, factor: float = 1.0) -> Tensor:
            x = torch.randn(*size, device=self.device) * factor
            return x.to(self.dtype).requires_grad_()

        c, (frames, *sides) = CHANNELS, shape
        sizes = ((c, c), (c,), (2 * c, c), (2 * c,))
        projections = TrajectoryProjections(*(draw(*x, factor=c**-0.5) for x in sizes))
        lines = [(1, *sides)] if len(sides) == 1 else [sides[::-1], sides]
        sequences = [[draw(min(b, max_lines), frames * n, c) for _ in '123'] for b, n in lines]
        return projections, TrajectorySpec(frames, HEADS, (c // HEADS) ** -0.5), sequences

    def _calls(self, shape: Sequence[int], backward: bool) -> dict[str, Callable[[], None]]:
        projections, spec, sequences = self._inputs(shape, max_lines=10**9)
        directions = [torch.randn_like(query) for query, _, _ in sequences]

        def run(form: Callable) -> None:
            for inputs, direction in zip(sequences, directions, strict=True):
                with torch.set_grad_enabled(backward):
                    out = form(*inputs, projections, spec)
                if backward:
                    torch.autograd.grad(out, [*inputs, *projections], direction)

        return {name: partial(run, form) for name, form in self.forms.items()}

    def agreement(self) -> list[dict]:
        """Rows of relative errors of outputs and gradients, compared with eager in float64."""
        rows = []
        for shape in self.shapes:
            projections, spec, sequences = self._inputs(shape, max_lines=4)
            for inputs in sequences:
                tensors = [*inputs, *projections]
                exact = _with_gradients(eager, [x.double() for x in tensors], spec)
                for name, form in self.forms.items():
                    errors = [
                        # of no gradient at all, the absolute error
                        float((a.double() - b).norm().detach() / b.detach().norm().clamp_min(0.1))
                        for a, b in zip(_with_gradients(form, tensors, spec), exact, strict=True)
                    ]
                    length = inputs[0].shape[1] // spec.num_frames
                    row = {'dtype': str(self.dtype)[6:], 'T x n': f'{spec.num_frames}x{length}'}
                    row |= {'form': name, 'output': errors[0], 'worst gradient': max(errors[1:])}
                    rows.append(row)
        return rows

    def times(self, rounds: int) -> list[dict]:
        """Rows of milliseconds and peak extra MiB of all forms, by shape and pass."""
        rows = []
        for shape in self.shapes:
            for backward in (False, True):
                calls = self._calls(shape, backward)
                if self.device.type != 'cuda':
                    calls.pop('fused', None)  # interpreted
                ms = milliseconds_in_turns(calls, rounds, self.device)
                mib = {name: peak_extra_mib(call, self.device) for name, call in calls.items()}
                row = {'shape': 'x'.join(map(str, shape)), 'dtype': str(self.dtype)[6:]}
                row['pass'] = 'forward + backward' if backward else 'forward'
                row |= {f'{name}, ms': x for name, x in ms.items()}
                row |= {f'{name}, MiB': x for name, x in mib.items()}
                best = 'fused' if 'fused' in ms else 'chunked'
                row |= {f'{name} / {best}': ms[name] / ms[best] for name in ('eager', 'composed')}
                rows.append({**row, f'MiB, {best} / eager': mib[best] / mib['eager']})
        return rows


def _with_gradients(form: Callable, tensors: list[Tensor], spec: TrajectorySpec) -> list[Tensor]:
    """Output of a form and the gradients of its inputs."""
    tensors = [x.detach().requires_grad_() for x in tensors]
    out = form(*tensors[:3], TrajectoryProjections(*tensors[3:]), spec)
    direction = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out).to(out)
    return [out, *torch.autograd.grad(out, tensors, direction)]


# Segmenters


class SegmenterCase:
    """A segmenter with random weights and a clip of noise.

    Args:
        config: name or file of its config.
        shape: (T, H, W) of the clip, padded.
        device: where it runs.
        dtype: of the network's products.
        compiled: as in `init_segmenter`.
        warm_up: whether to segment the clip now, which compiles.
    """

    def __init__(
        self,
        config: str,
        shape: Sequence[int],
        device: str,
        dtype: str = 'float32',
        compiled: bool | dict = False,
        warm_up: bool = False,
    ) -> None:
        torch.manual_seed(0)
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)
        self.half = None if dtype == 'float32' else self.dtype
        self.model = init_segmenter(find_config(config), None, device, self.half, compiled)
        self.frames = torch.randn(shape[0], 3, *shape[1:], device=device)
        self.row = {'config': Path(config).stem, 'dtype': dtype, 'compiled': bool(compiled)}
        for _ in range(3 * warm_up):
            self.predict()

    def predict(self) -> None:
        """Segment the clip."""
        self.model.predict_clip(self.frames)

    def work(self) -> dict:
        """GFLOPs of the clip and parameters; the case is of no other use afterwards."""
        self.model.requires_grad_(False)
        return {
            'GFLOPs, as defined': count_gflops(self.predict, as_defined=True),
            'GFLOPs, executed': count_gflops(self.predict, as_defined=False),
            'parameters, M': sum(x.numel() for x in self.model.parameters()) / 1e6,
        }

    def seconds(self, calls: int) -> list[float]:
        """Seconds of some calls."""
        return [time_once(self.predict, self.device) for _ in range(calls)]

    def memory(self) -> dict:
        """MiB of the weights, and peak MiB of a call beyond what is held between calls."""
        weights = sum(x.numel() * x.element_size() for x in self.model.state_dict().values())
        extra = peak_extra_mib(self.predict, self.device)
        return {'forward, MiB': extra, 'weights, MiB': weights / MIB}

    def profile(self) -> list[dict]:
        """Rows of the longest operations."""
        return longest_operations(self.predict, self.device)

    def training(self, rounds: int) -> dict:
        """Milliseconds and peak MiB of a forward and backward pass under autocast."""
        ms = milliseconds_in_turns({'': self._training_step}, rounds, self.device)['']
        self.model.zero_grad(set_to_none=True)
        mib = peak_extra_mib(self._training_step, self.device)
        self.model.zero_grad(set_to_none=True)
        return {'training step, ms': ms, 'training step, MiB': mib}

    def _training_step(self) -> None:
        self.model.train().zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            losses = self.model.loss(self.frames[None], [training_sample(*self.frames.shape)])
        sum(losses.values()).backward()
        self.model.eval()

    def video(self, source: str) -> dict:
        """Frames per second from a file to masks, live, with as many tracks as allowed."""
        start = time.perf_counter()
        result = segment_video(self.model, source, protocol='live', score_threshold=0.0)
        for _ in result:
            pass
        seconds = time.perf_counter() - start
        frames = result.num_frames
        return {'frames': frames, 'tracks': len(result.tracks()), 'frames/s': frames / seconds}


def training_sample(num_frames: int, _: int, height: int, width: int) -> TrackDataSample:
    """Annotate a clip with boxes that do not move."""
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


class VideoCase:
    """Whole videos through the pipeline, in a process whose memory is theirs.

    Args:
        config: name or file of a config.
        checkpoint: weights, or None.
        options: settings that override those of the config.
        device: where it runs.
        dtype: of the network's products.
    """

    def __init__(
        self, config: str, checkpoint: str | None, options: Mapping, device: str, dtype: str
    ) -> None:
        settings = Config.fromfile(find_config(config))
        settings.merge_from_dict(dict(options))
        half = None if dtype == 'float32' else getattr(torch, dtype)
        self.model = init_segmenter(settings, checkpoint, device, half)

    def run(self, source: str | None, size: Sequence[int], length: int, mode, protocol) -> dict:
        """Row of a video, or of a generated stream, which is never held as a whole."""
        start = time.perf_counter()
        frames = source or MovingShapes(size, length)
        result = segment_video(self.model, frames, mode, protocol, max_frames=length)
        for _ in result:
            pass
        row = {'frames': result.num_frames, 'tracks': len(result.tracks())}
        seconds = time.perf_counter() - start
        peak = peak_resident_bytes() / MIB
        return {**row, 'frames/s': result.num_frames / seconds, 'peak, MiB': peak}


class MovingShapes:
    """Frames of a generated video, forwards and backwards in turns, made as they are read."""

    def __init__(self, size: Sequence[int], length: int) -> None:
        frames = generate_video('demo', seed=0, index=0, split='valid').frames
        self._turn = [cv2.resize(x, tuple(size[::-1])) for x in (*frames, *frames[-2:0:-1])]
        self._length = length

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._turn[i % len(self._turn)] for i in range(self._length))


class ContenderCase:
    """A network from frames at 384x640 to masks at 720x1280: ours, or mmdet's Mask2Former-VIS R50.

    mmdet's takes the video as one clip and returns its 10 tracks as arrays; ours goes clip by clip
    and returns the 100 best (query, class) pairs as RLE.

    Args:
        config: of ours; None for mmdet's.
        num_frames: length of the video.
        dtype: of the products of ours.
    """

    def __init__(self, config: str | None, num_frames: int, dtype: str) -> None:
        torch.manual_seed(0)
        if config is None:
            stock = Config.fromfile(Path(get_installed_path('mmdet')) / STOCK_CONFIG)
            stock.model.init_cfg = stock.model.backbone.init_cfg = None
            init_default_scope('mmdet')
            self.model = MODELS.build(stock.model).eval()
            self.clip_length = num_frames
        else:
            half = None if dtype == 'float32' else getattr(torch, dtype)
            self.model = init_segmenter(find_config(config), None, 'cpu', half)
            self.clip_length = self.model.clip_length
        self.frames = torch.randn(num_frames, 3, 384, 640)

    @torch.no_grad()
    def seconds(self) -> dict:
        """Seconds, CPU seconds and peak resident memory of the video."""
        wall, cpu = time.perf_counter(), time.process_time()
        length = len(self.frames)
        for start in range(0, length, self.clip_length):
            clip = self.frames[start : start + self.clip_length]
            info = dict(batch_input_shape=(384, 640), img_shape=(360, 640), ori_shape=(720, 1280))
            info |= dict(video_id=1, video_length=length, clip_start=start, num_padded_frames=0)
            info['clip_is_last'] = start + len(clip) >= length
            sample = TrackDataSample()
            sample.video_data_samples = [DetDataSample(metainfo=info) for _ in clip]
            self.model.predict(clip[None], [sample])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {'s': wall, 'CPU s': cpu, 'peak, GiB': peak_resident_bytes() / 2**30}


# Evaluation


def write_segmentations(folder: Path, args: Namespace) -> None:
    """Write ground truth and predictions in the layouts of YouTube-VIS and VIPSeg.

    Ellipses drift; predicted ones lag behind, and one in ten has a different class.
    """
    rng = np.random.default_rng(0)
    height, width = args.size
    categories = [{'id': i, 'name': f'class {i}', 'isthing': 1} for i in range(1, 6)]
    videos: list[dict] = []
    sides: dict[str, tuple[list, list]] = {'gt': ([], []), 'pred': ([], [])}
    for video in range(1, args.videos + 1):
        names = [f'{i:05d}' for i in range(args.frames)]
        files = [f'{video}/{name}.jpg' for name in names]
        videos.append(dict(id=video, file_names=files, length=args.frames))
        videos[-1] |= dict(height=height, width=width)
        places, speeds = rng.random((args.objects, 2)), rng.normal(0, 0.01, (args.objects, 2))
        radii = rng.uniform(0.03, 0.12, (args.objects, 2))
        classes = rng.integers(1, 6, args.objects)
        for side, (tracks, panoptic) in sides.items():
            lag = 0.0 if side == 'gt' else 0.01
            (folder / side / str(video)).mkdir(parents=True)
            of_side = np.where(rng.random(args.objects) < 10 * lag, classes % 5 + 1, classes)
            frames, rles = [], [[] for _ in classes]
            for t, name in enumerate(names):
                ids = np.zeros((height, width, 3), np.uint8)
                for i, (place, speed, radius) in enumerate(zip(places, speeds, radii, strict=True)):
                    centre = ((place + t * speed) % 1 - lag) * (width, height)
                    axes = radius * (width, height)
                    integers = [tuple(int(v) for v in x) for x in (centre, axes)]
                    cv2.ellipse(ids, *integers, 0, 0, 360, (0, 0, i + 1), -1)
                cv2.imwrite(str(folder / side / str(video) / f'{name}.png'), ids)
                masks = [ids[..., 2] == i + 1 for i in range(args.objects)]
                for rle, mask in zip(rles, masks, strict=True):
                    rle.append(encode_mask(mask) if mask.any() else None)
                seen = [i for i, mask in enumerate(masks) if mask.any()]
                segments = [{'id': i + 1, 'category_id': int(of_side[i])} for i in seen]
                frames.append({'file_name': f'{name}.png', 'segments_info': segments})
            panoptic.append({'video_id': str(video), 'annotations': frames})
            for label, masks in zip(of_side, rles, strict=True):
                track = dict(video_id=video, category_id=int(label), segmentations=masks)
                areas = [mask and int(coco_mask.area(mask)) for mask in masks]
                track |= dict(id=len(tracks) + 1, iscrowd=0, areas=areas)
                tracks.append({**track, 'score': float(rng.random())})
    for side, (tracks, panoptic) in sides.items():
        both = {'categories': categories, 'annotations': panoptic}
        (folder / f'{side}_panoptic.json').write_text(json.dumps(both))
        content = dict(videos=videos, categories=categories, annotations=tracks)
        (folder / f'{side}.json').write_text(json.dumps(content if side == 'gt' else tracks))


def evaluation_rows(args: Namespace) -> list[dict]:
    """Rows of seconds of AP, by mmdet's evaluator too, and of VPQ and STQ."""
    seconds: dict[str, list[float]] = {}

    def timed(name: str, call: Callable, *arguments: Any) -> Any:
        start = time.perf_counter()
        value = call(*arguments)
        seconds.setdefault(name, []).append(time.perf_counter() - start)
        return value

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_segmentations(folder, args)
        for _ in range(args.rounds):
            gt = timed('AP: reading', read_annotations, folder / 'gt.json')
            tracks = read_results(folder / 'pred.json', gt)
            ours = timed('AP', evaluate_tracks, gt, tracks, args.workers).summary()
            gt_json, tracks_json = (
                json.loads((folder / f'{side}.json').read_text()) for side in ('gt', 'pred')
            )
            theirs = timed("AP, mmdet's evaluator", mmdet_ap, gt_json, tracks_json)
            sides = read_ground_truth(folder / 'gt_panoptic.json', folder / 'gt')
            predictions = read_predictions(folder / 'pred_panoptic.json', folder / 'pred', sides)
            timed('VPQ and STQ', evaluate_panoptic, sides, predictions, args.workers)
    rows = [{'what': key, 's': min(x)} for key, x in seconds.items()]
    ratio = min(seconds["AP, mmdet's evaluator"]) / min(seconds['AP'])
    difference = max(abs(ours[key] - value) for key, value in theirs.items())
    rows.append({'what': "AP: mmdet's time / ours", 'ratio': ratio})
    return [*rows, {'what': 'AP: largest difference of the 12 metrics', 'ratio': difference}]


def mmdet_ap(gt: dict, tracks: list[dict]) -> dict[str, float]:
    """Evaluate with mmdet's evaluator."""
    with contextlib.redirect_stdout(io.StringIO()):
        annotations = YTVIS(gt)
        evaluator = YTVISeval(annotations, annotations.loadRes(tracks))
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return dict(zip(AP_NAMES, evaluator.stats.tolist(), strict=True))


class Machine:
    """The machine that everything runs on."""

    def describe(self, device: str) -> list[dict]:
        """Rows of names and versions."""
        on_gpu = torch.device(device).type == 'cuda'
        facts = {
            'device': torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
            'CPU cores, threads': f'{os.cpu_count()}, {torch.get_num_threads()}',
            'Python': '.'.join(map(str, sys.version_info[:3])),
            'torch': f'{torch.__version__} (CUDA {torch.version.cuda})',
        }
        for dtype in ('float32', 'float16', 'bfloat16'):
            backend, reason = select_implementation(
                torch.device(device).type, getattr(torch, dtype)
            )
            facts[f'deformable sampling in {dtype}'] = f'{backend}: {reason}'
        return [{'what': key, 'value': value} for key, value in facts.items()]
