"""Launches of the Triton kernels of trajectory attention: block sizes, programs, output memory.

Letters as in `trajectory_attention`; S = T * n queries of a line.
"""

from typing import NamedTuple

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

# Gradients of weights are summed over splits of the tokens, each in float32.
TOKENS_PER_SPLIT, MAX_SPLITS = 1024, 16
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
    num_stages: int = 2


HALF = {
    'points_forward': Launch(dict(QUERIES=64, KEYS=64), 4),
    'pool_forward': Launch(dict(TOKENS=64, GROUP=4, PIECE=64), 8),
    'pool_backward': Launch(dict(TOKENS=64, GROUP=2, PIECE=64), 8),
    'projections_backward': Launch(dict(TOKENS=32, PIECE=64), 4),
    'points_backward': Launch(dict(TOKENS=64, GROUP=4), 4),
    'query_backward': Launch(dict(QUERIES=64, KEYS=64), 4),
    'key_value_backward': Launch(dict(QUERIES=64, KEYS=64), 4),
}
# In float32 a product runs three times and blocks take twice the room.
SINGLE = {
    'points_forward': Launch(dict(QUERIES=64, KEYS=32), 4),
    'pool_forward': Launch(dict(TOKENS=64, GROUP=1, PIECE=32), 4),
    'pool_backward': Launch(dict(TOKENS=64, GROUP=1, PIECE=32), 4),
    'projections_backward': Launch(dict(TOKENS=32, PIECE=64), 8),
    'points_backward': Launch(dict(TOKENS=64, GROUP=2), 4),
    'query_backward': Launch(dict(QUERIES=64, KEYS=32), 4),
    'key_value_backward': Launch(dict(QUERIES=32, KEYS=64), 4),
}


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
    scores: Tensor  # (B, h, T, S)
    grad_weights: Tensor  # (B, h, T, S)
    log_sums: Tensor  # (B, h, S)
    means: Tensor  # (B, h, S)


class Launcher:
    """Runs the kernels on tensors of one type and device.

    Args:
        query: (B, S, C), any of them.
        num_frames: T.
        num_heads: h.
        scale: factor on both steps' scores.
    """

    def __init__(self, query: Tensor, num_frames: int, num_heads: int, scale: float) -> None:
        self.num_frames, self.num_heads, self.scale = num_frames, num_heads, scale
        self.channels = query.shape[2]
        self.head_size = self.channels // num_heads
        self.table = SINGLE if query.dtype == torch.float32 else HALF

    def _run(self, kernel, programs, *args, num_keys: int = 1, **constants) -> None:
        name = kernel.fn.__name__
        launch = self.table[name]
        blocks = dict(launch.blocks)
        if 'GROUP' in blocks:
            blocks['GROUP'] = min(max(blocks['GROUP'] * 32 // self.head_size, 1), self.num_heads)
        if 'PIECE' in blocks:
            blocks['PIECE'] = min(blocks['PIECE'], self.channels)
        if 'KEYS' in blocks:
            blocks['KEYS'] = min(blocks['KEYS'], max(16, triton.next_power_of_2(num_keys)))
        if kernel is points_forward:
            constants['ONE_BLOCK'] = num_keys <= blocks['KEYS']
        with torch.cuda.device_of(args[0]):
            kernel[(programs(blocks),)](
                *args,
                **constants,
                **blocks,
                HEADS=self.num_heads,
                HEAD_SIZE=self.head_size,
                PRECISION=FLOAT32_PRODUCTS,
                num_warps=launch.num_warps,
                num_stages=launch.num_stages,
            )

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
            lambda b: num_lines * self.num_heads * triton.cdiv(num_queries, b['QUERIES']),
            *(query, key, value, points, log_sums, self.scale),
            *(self.num_frames, num_queries, num_keys),
            num_keys=num_keys,
            KEEP=log_sums is not None,
        )
        return points

    def pool(self, points: Tensor, projections: Projections, out: Tensor) -> None:
        """Attention over frames (Eq. 3-4) of points (B, T, S, C); fills `out` (B, S, C)."""
        num_queries = points.shape[2]
        num_tokens = points.shape[0] * num_queries
        self._run(
            pool_forward,
            lambda b: triton.cdiv(num_tokens, b['TOKENS']) * (self.num_heads // b['GROUP']),
            *(points, *projections, out, self.scale),
            *(num_tokens, self.num_frames, num_queries),
            QUERY_BIAS=projections.query_bias is not None,
            VALUE_BIAS=projections.key_value_bias is not None,
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
        statistics = dict(dtype=torch.float32, device=points.device)
        shape = (num_lines, self.num_heads, num_frames, num_queries)
        over_frames = OverFrames(
            second_query,
            grad_second_query,
            *torch.empty(2, *shape, **statistics),
            *torch.empty(2, num_lines, self.num_heads, num_queries, **statistics),
        )
        num_tokens = num_lines * num_queries
        self._run(
            pool_backward,
            lambda b: triton.cdiv(num_tokens, b['TOKENS']) * (self.num_heads // b['GROUP']),
            *(points, *projections[:3], grad_out, *over_frames, self.scale),
            *(num_tokens, num_frames, num_queries),
            QUERY_BIAS=projections.query_bias is not None,
        )
        return over_frames

    def projections_backward(
        self, points: Tensor, grad_out: Tensor, over_frames: OverFrames
    ) -> Tensor:
        """Gradients of query, key and value weights, (3, C, C) in float32."""
        num_queries, channels = points.shape[2:]
        num_tokens = points.shape[0] * num_queries
        splits = min(MAX_SPLITS, triton.cdiv(num_tokens, TOKENS_PER_SPLIT))
        tokens_per_split = triton.cdiv(num_tokens, splits)
        partial = points.new_empty(splits, 3, channels, channels, dtype=torch.float32)
        self._run(
            projections_backward,
            lambda b: splits * self.num_heads * (channels // b['PIECE']),
            *(points, grad_out, *over_frames, partial),
            *(num_tokens, tokens_per_split, self.num_frames, num_queries),
        )
        return partial.sum(0)

    def points_backward(
        self, points: Tensor, projections: Projections, grad_out: Tensor, over_frames: OverFrames
    ) -> Tensor:
        """Puts the points' gradients in their place; returns their means (B, h, T, S)."""
        num_queries = points.shape[2]
        num_tokens = points.shape[0] * num_queries
        point_means = torch.empty_like(over_frames.scores)
        self._run(
            points_backward,
            lambda b: (
                triton.cdiv(num_tokens, b['TOKENS'])
                * self.num_frames
                * (self.num_heads // b['GROUP'])
            ),
            *(points, projections.query_weight, projections.key_value_weight, grad_out),
            *(*over_frames, point_means, num_tokens, self.num_frames, num_queries),
        )
        return point_means

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
            lambda b: num_lines * self.num_heads * triton.cdiv(num_queries, b['QUERIES']),
            *(*tensors, grad_query, *numbers),
            num_keys=num_keys,
        )
        self._run(
            key_value_backward,
            lambda b: (
                num_lines * self.num_heads * self.num_frames * triton.cdiv(num_keys, b['KEYS'])
            ),
            *(*tensors, grad_key, grad_value, *numbers),
            num_keys=num_keys,
        )
