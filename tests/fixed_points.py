"""Make mask losses reproducible by sampling the same points for all masks of all clips."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
from mmdet.registry import MODELS

from axialvs.models.tube_link.clip_head import ClipMask2FormerHead


@contextlib.contextmanager
def fixed_points(margin: float = 0.0) -> Iterator[None]:
    """Let `torch.rand` repeat one row of random numbers that depends only on its length.

    Args:
        margin: minimum distance of the numbers from 0 and 1. Outside the image mmdet samples
            zeros, which it mixes into points at the border.
    """

    def rand(*size, device=None):
        size = size[0] if isinstance(size[0], tuple) else size
        row = torch.empty(1, *size[1:])
        row.uniform_(margin, 1 - margin, generator=torch.Generator().manual_seed(size[1]))
        return row.to(device).expand(size).contiguous()

    with mock.patch.object(torch, 'rand', rand):
        yield


@MODELS.register_module(force=True)
class FixedPointsHead(ClipMask2FormerHead):
    """The clip head with points that depend on neither the batch nor the process."""

    def loss(self, *args, **kwargs):
        """Compute the clip head's losses at fixed points."""
        with fixed_points():
            return super().loss(*args, **kwargs)
