"""Multiply-adds of a model's forward pass, as its operations are defined and as they run.

One multiply-add counts as one FLOP, as in mmdet's get_flops and in the paper's tables. Counted are
products of matrices, convolutions, attention and sampling; element-wise work is not.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from axialvs.layers.cross_clip import ClipTrajectoryAttention
from axialvs.layers.deformable_attention import ClipDeformableAttention
from axialvs.layers.trajectory_attention import TrajectoryAttention

# torch counts a multiply-add as two.
_PER_MULTIPLY_ADD = 2
_CORNERS = 4  # of a bilinear sample


class Flops(NamedTuple):
    """Multiply-adds of one call."""

    defined: int
    executed: int


def _grid_sample_flops(value_shape, grid_shape, *args, **kwargs) -> int:
    samples = math.prod(grid_shape[:-1]) * value_shape[1]
    return _PER_MULTIPLY_ADD * _CORNERS * samples


def _embedding_bag_flops(weight_shape, indices_shape, *args, **kwargs) -> int:
    return _PER_MULTIPLY_ADD * math.prod(indices_shape) * weight_shape[1]


# What torch's counter has no formula for.
_SAMPLING = {
    torch.ops.aten.grid_sampler_2d: _grid_sample_flops,
    torch.ops.aten._embedding_bag: _embedding_bag_flops,
    torch.ops.aten._embedding_bag_forward_only: _embedding_bag_flops,
}


def trajectory_flops(lines: int, num_frames: int, tokens: int, channels: int) -> int:
    """Trajectory attention as written (Axial-VS Eq. 2-4), with its six projections.

    Args:
        lines: independent sequences.
        num_frames: T.
        tokens: of a frame of a sequence.
        channels: C.
    """
    length = num_frames * tokens
    linear = 5 * length * channels**2  # q, k, v, second query, output
    maps = 2 * length**2 * channels
    every_point = 2 * length * num_frames * channels**2  # keys and values of every point
    pooling = 2 * length * num_frames * channels
    return lines * (linear + maps + every_point + pooling)


def sampling_flops(queries: int, levels: int, points: int, channels: int) -> int:
    """Deformable sampling as written: four corners of every sample, then its weight."""
    return queries * levels * points * channels * (_CORNERS + 1)


def count_flops(model: nn.Module, forward: Callable[[], object]) -> Flops:
    """Counts one forward pass.

    Args:
        model: whose trajectory attentions and deformable attentions are known by their definition.
        forward: what runs the model, without gradients.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_SAMPLING)
    with _without_gradients(model), counter, _definitions(model, counter) as corrections:
        forward()
    total = counter.get_total_flops()
    of_operations = counter.get_flop_counts()['Global']
    sampling = sum(of_operations.get(operation, 0) for operation in _SAMPLING)
    executed = total // _PER_MULTIPLY_ADD
    return Flops(executed - sampling // _PER_MULTIPLY_ADD + sum(corrections), executed)


@contextmanager
def _without_gradients(model: nn.Module) -> Iterator[None]:
    """torch's counter asks every input that wants a gradient for its graph, there or not."""
    trained = [x for x in model.parameters() if x.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def _definitions(model: nn.Module, counter: FlopCounterMode) -> Iterator[list[int]]:
    """What the definitions have more (or less) than what runs, sampling not subtracted."""
    corrections: list[int] = []
    before: list[int] = []

    def enter(module: nn.Module, inputs: tuple) -> None:
        before.append(counter.get_total_flops())

    def leave(module: nn.Module, inputs: tuple, kwargs: dict, output: Tensor) -> None:
        ran = (counter.get_total_flops() - before.pop()) // _PER_MULTIPLY_ADD
        num_frames = kwargs.get('num_frames')
        # clip queries (B, K, Q, C), or lines (B, T * n, C)
        shape = (output if num_frames is None else output.unflatten(1, (num_frames, -1))).shape
        corrections.append(trajectory_flops(*shape) - ran)

    def sampled(module: ClipDeformableAttention, inputs: tuple, output: Tensor) -> None:
        batch, queries, channels = output.shape
        corrections.append(
            sampling_flops(batch * queries, module.num_levels, module.num_points, channels)
        )

    handles = []
    for module in model.modules():
        if isinstance(module, TrajectoryAttention | ClipTrajectoryAttention):
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
        elif isinstance(module, ClipDeformableAttention):
            handles.append(module.register_forward_hook(sampled))
    try:
        yield corrections
    finally:
        for handle in handles:
            handle.remove()
