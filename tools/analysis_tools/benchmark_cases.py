"""What benchmark.py measures: forms of trajectory attention, segmenters, a machine.

Each case is a class, so that benchmark.py can keep an object of it in a process of its own.
"""

import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from axialvs.apis import init_segmenter, segment_video
from axialvs.functional import trajectory_attention as functional
from axialvs.functional.ms_deform_attn import select_implementation
from axialvs.functional.trajectory_attention import TrajectoryProjections, TrajectorySpec
from axialvs.layers import trajectory_attention as layer
from axialvs.utils.config_files import find_config

MIB = 2**20
CHANNELS, HEADS = 256, 8
NUM_OBJECTS = 4  # of a training sample


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
