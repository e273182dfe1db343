"""Make mask losses repeatable: all masks of all clips are compared at the same drawn points."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
from mmdet.registry import MODELS

from axialvs.models.tube_link.clip_head import ClipMask2FormerHead


@contextlib.contextmanager
def fixed_points(margin: float = 0.0) -> Iterator[None]:
    """Let `torch.rand` give one row of numbers, drawn by its length alone, again and again.

    Args:
        margin: numbers lie this far from 0 and 1. Outside of a picture mmdet's sampling finds
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
        """As in the clip head."""
        with fixed_points():
            return super().loss(*args, **kwargs)
