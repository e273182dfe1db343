"""Launches of the Triton kernels of trajectory attention: block sizes, programs, output memory.

Letters as in `trajectory_attention`; S = T * n queries of a line.
"""

from typing import ClassVar, NamedTuple

import torch
import triton
from torch import Tensor

from axialvs.functional.trajectory_kernels_forward import points_forward, pool_forward
from axialvs.functional.trajectory_kernels_points_backward import (
    key_value_backward,
    query_backward,
)
from axialvs.functional.trajectory_kernels_pool_backward import (
    points_backward,
    pool_backward,
    projections_backward,
)

# Gradients of weights are summed over splits of the tokens, each in float32: enough of them for two
# programs on each multiprocessor of a large GPU, of at least this many trajectory points.
PROGRAMS, POINTS_PER_SPLIT = 264, 1024
# Three tensor core products keep float32's precision, at several times the speed of its own units.
FLOAT32_PRODUCTS = 'tf32x3'


class Launch(NamedTuple):
    """How a kernel is cut and run.

    Attributes:
        blocks: block sizes by their names in the kernel; `GROUP` is for heads of 32 channels.
        num_warps, num_stages: as in Triton.
    """

    blocks: dict[str, int]
    num_warps: int
    num_stages: int


# Measured on an H200; see docs/trajectory_attention_kernel.md.
HALF = {
    'points_forward': Launch(dict(QUERIES=64, KEYS=64), 4, 3),
    'pool_forward': Launch(dict(TOKENS=64, GROUP=2, PIECE=64), 4, 3),
    'pool_backward': Launch(dict(TOKENS=64, GROUP=1, PIECE=64), 4, 3),
    'projections_backward': Launch(dict(TOKENS=64, GROUP=2, PIECE=128), 4, 3),
    'points_backward': Launch(dict(TOKENS=64, GROUP=4), 4, 2),
    'query_backward': Launch(dict(QUERIES=64, KEYS=64), 4, 3),
    'key_value_backward': Launch(dict(QUERIES=64, KEYS=64), 4, 3),
}
# In float32 a product runs three times and blocks take twice the room.
SINGLE = {
    'points_forward': Launch(dict(QUERIES=64, KEYS=32), 4, 2),
    'pool_forward': Launch(dict(TOKENS=64, GROUP=2, PIECE=32), 4, 3),
    'pool_backward': Launch(dict(TOKENS=64, GROUP=1, PIECE=32), 4, 3),
    'projections_backward': Launch(dict(TOKENS=32, GROUP=2, PIECE=64), 4, 3),
    'points_backward': Launch(dict(TOKENS=128, GROUP=2), 8, 2),
    'query_backward': Launch(dict(QUERIES=64, KEYS=32), 4, 2),
    'key_value_backward': Launch(dict(QUERIES=32, KEYS=64), 4, 2),
}


def _cdiv(a: int, b: int) -> int:
    return -(-a // b)  # Triton's own takes longer on the host


class Projections(NamedTuple):
    """Projections of the second step as kernels take them: contiguous."""

    query_weight: Tensor  # (C, C)
    query_bias: Tensor | None
    key_value_weight: Tensor  # (2C, C)
    key_value_bias: Tensor | None


class OverFrames(NamedTuple):
    """What `Launcher.pool_backward` leaves to the kernels after it."""

    second_query: Tensor  # (B, S, C), scaled
    grad_second_query: Tensor  # (B, S, C), before scaling
    time_weights: Tensor  # (B, h, T, S)
    grad_scores: Tensor  # (B, h, T, S)


class Launcher:
    """Run the kernels on tensors of one type and device.

    Triton's own launch finds the compiled kernel by all arguments, which takes longer on the host
    than a small kernel on the GPU. A `Launcher` remembers it instead: tensors begin at multiples of
    16 bytes, as Triton assumes in kernels that it compiled for such ones.

    Args:
        query: (B, S, C), any of them.
        num_frames: T.
        num_heads: h.
        scale: factor on both steps' scores.
    """

    compiled: ClassVar[dict[tuple, tuple]] = {}  # by kernel and everything it was compiled for

    def __init__(self, query: Tensor, num_frames: int, num_heads: int, scale: float) -> None:
        self.num_frames, self.num_heads, self.scale = num_frames, num_heads, float(scale)
        self.channels = query.shape[2]
        self.head_size = self.channels // num_heads
        self.table = SINGLE if query.dtype == torch.float32 else HALF
        self.device = query.device
        self._kind = (query.dtype, self.device, num_heads, self.channels)

    def _run(self, kernel, programs, *args, num_keys: int = 1, flags: tuple = ()) -> None:
        """Launch a kernel.

        Args:
            kernel: jitted function.
            programs: their number, of the block sizes.
            args: its arguments but the compile-time ones.
            num_keys: keys of a frame, if it loops over them.
            flags: pairs of name and value, further compile-time arguments.
        """
        key = (kernel.__name__, num_keys, flags, self._kind)
        found = self.compiled.get(key)
        if found is not None:
            run, blocks, constants = found
            run[programs(blocks), 1, 1](*args, *constants)
            return
        launch = self.table[kernel.__name__]
        blocks = self._blocks(launch, num_keys)
        constants = dict(flags, HEADS=self.num_heads, HEAD_SIZE=self.head_size, **blocks)
        constants['PRECISION'] = FLOAT32_PRODUCTS
        if kernel is points_forward:
            constants['ONE_BLOCK'] = num_keys <= blocks['KEYS']
        run = kernel[programs(blocks), 1, 1](
            *args, **constants, num_warps=launch.num_warps, num_stages=launch.num_stages
        )
        if run is not None:  # the interpreter compiles nothing
            in_order = tuple(constants[name] for name in kernel.arg_names[len(args) :])
            self.compiled[key] = run, blocks, in_order

    def _blocks(self, launch: Launch, num_keys: int) -> dict[str, int]:
        """Block sizes for these heads, channels and keys."""
        blocks = dict(launch.blocks)
        if 'GROUP' in blocks:
            blocks['GROUP'] = min(max(blocks['GROUP'] * 32 // self.head_size, 1), self.num_heads)
        if 'PIECE' in blocks:
            blocks['PIECE'] = min(blocks['PIECE'], self.channels)
        if 'KEYS' in blocks:
            blocks['KEYS'] = min(blocks['KEYS'], max(16, triton.next_power_of_2(num_keys)))
        return blocks

    def trace(self, query: Tensor, key: Tensor, value: Tensor, log_sums: Tensor | None) -> Tensor:
        """Trajectory points (Eq. 2).

        Args:
            query: (B, S, C).
            key, value: (B, T * m, C).
            log_sums: filled with the softmaxes' logarithms of the sum, (B, h, T, S).

        Returns:
            (B, T, S, C).
        """
        num_lines, num_queries, channels = query.shape
        num_keys = key.shape[1] // self.num_frames
        points = query.new_empty(num_lines, self.num_frames, num_queries, channels)
        self._run(
            points_forward,
            lambda b: num_lines * self.num_heads * _cdiv(num_queries, b['QUERIES']),
            *(query, key, value, points, log_sums, self.scale),
            *(self.num_frames, num_queries, num_keys),
            num_keys=num_keys,
            flags=(('KEEP', log_sums is not None),),
        )
        return points

    def pool(self, points: Tensor, projections: Projections, out: Tensor) -> None:
        """Attention over frames (Eq. 3-4) of points (B, T, S, C); fills `out` (B, S, C)."""
        num_queries = points.shape[2]
        num_tokens = points.shape[0] * num_queries
        self._run(
            pool_forward,
            lambda b: _cdiv(num_tokens, b['TOKENS']) * (self.num_heads // b['GROUP']),
            *(points, *projections, out, self.scale),
            *(num_tokens, self.num_frames, num_queries),
            flags=(
                ('QUERY_BIAS', projections.query_bias is not None),
                ('VALUE_BIAS', projections.key_value_bias is not None),
            ),
        )

    def pool_backward(
        self,
        points: Tensor,
        projections: Projections,
        grad_out: Tensor,
        second_query: Tensor,
        grad_second_query: Tensor,
    ) -> OverFrames:
        """Gradients of scores; `points` (B, T, S, C), the last two (B, S, C) are filled."""
        num_lines, num_frames, num_queries, _ = points.shape
        shape = (num_lines, self.num_heads, num_frames, num_queries)
        statistics = (points.new_empty(shape, dtype=torch.float32) for _ in range(2))
        over_frames = OverFrames(second_query, grad_second_query, *statistics)
        num_tokens = num_lines * num_queries
        self._run(
            pool_backward,
            lambda b: _cdiv(num_tokens, b['TOKENS']) * (self.num_heads // b['GROUP']),
            *(points, *projections[:3], grad_out, *over_frames, self.scale),
            *(num_tokens, num_frames, num_queries),
            flags=(('QUERY_BIAS', projections.query_bias is not None),),
        )
        return over_frames

    def projections_backward(
        self, points: Tensor, grad_out: Tensor, over_frames: OverFrames
    ) -> Tensor:
        """Gradients of weights, then biases, of query, key, value: (3 * C * (C + 1)) in float32."""
        num_lines, num_frames, num_queries, channels = points.shape
        num_tokens = num_lines * num_queries
        num_points = num_tokens * num_frames
        blocks = self._blocks(self.table['projections_backward'], 1)
        groups = self.num_heads // blocks['GROUP']
        tiles = groups * (3 * (channels // blocks['PIECE']) + 1)
        splits = max(1, min(PROGRAMS // tiles, num_points // POINTS_PER_SPLIT))
        partial = points.new_empty(splits, 3 * channels * (channels + 1), dtype=torch.float32)
        self._run(
            projections_backward,
            lambda b: splits * tiles,
            *(points, grad_out, *over_frames, partial),
            *(num_tokens, _cdiv(num_tokens, splits)),
            *(num_points, _cdiv(num_points, splits), num_frames, num_queries),
        )
        return partial[0] if splits == 1 else partial.sum(0)

    def points_backward(
        self,
        points: Tensor,
        projections: Projections,
        grad_out: Tensor,
        over_frames: OverFrames,
        point_means: Tensor,
    ) -> None:
        """Put the points' gradients in their place and fill their means (B, h, T, S)."""
        num_queries = points.shape[2]
        num_tokens = points.shape[0] * num_queries
        self._run(
            points_backward,
            lambda b: (
                _cdiv(num_tokens, b['TOKENS']) * self.num_frames * (self.num_heads // b['GROUP'])
            ),
            *(points, projections.query_weight, projections.key_value_weight, grad_out),
            *(*over_frames, point_means, num_tokens, self.num_frames, num_queries),
        )

    def trace_backward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        grad_points: Tensor,
        log_sums: Tensor,
        point_means: Tensor,
        grad_query: Tensor,
        grad_key: Tensor,
        grad_value: Tensor,
    ) -> None:
        """Gradients of `trace`, from what it and `points_backward` left; the last three are filled.

        Tensors as there.
        """
        num_lines, num_queries, _ = query.shape
        num_keys = key.shape[1] // self.num_frames
        tensors = (query, key, value, grad_points, log_sums, point_means)
        numbers = (self.scale, self.num_frames, num_queries, num_keys)
        self._run(
            query_backward,
            lambda b: num_lines * self.num_heads * _cdiv(num_queries, b['QUERIES']),
            *(*tensors, grad_query, *numbers),
            num_keys=num_keys,
        )
        self._run(
            key_value_backward,
            lambda b: num_lines * self.num_heads * self.num_frames * _cdiv(num_keys, b['KEYS']),
            *(*tensors, grad_key, grad_value, *numbers),
            num_keys=num_keys,
        )
