"""Data preprocessor that pads clips to a fixed size."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.registry import MODELS
from torch import Tensor

from axialvs.utils.errors import AxialVSError


@MODELS.register_module()
class FixedSizeTrackDataPreprocessor(TrackDataPreprocessor):
    """Pad clips at the bottom and on the right to one size, with zeros after normalization.

    Axial attention attends to the padding, so Video-kMaX is tested at its training size (769x1345
    on VIPSeg). Larger clips raise an error; the pipeline must resize them (`ShrinkToFit`).

    Args:
        pad_size: (height, width) of the network's input.
        **kwargs: arguments of mmdet's `TrackDataPreprocessor`.
    """

    def __init__(self, *, pad_size: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad_size = tuple(pad_size)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Pad, then normalize and stack as mmdet does.

        Raises:
            AxialVSError: if a frame is larger than `pad_size`.
        """
        return super().forward({**data, 'inputs': [*map(self._pad, data['inputs'])]}, training)

    def _pad(self, clip: Tensor) -> Tensor:
        """Pad a clip (T, 3, H, W) with the mean, which normalization turns into zeros."""
        height, width = clip.shape[-2:]
        if height > self.pad_size[0] or width > self.pad_size[1]:
            raise AxialVSError(
                f'frames of {height}x{width} do not fit into the input size '
                f'{self.pad_size[0]}x{self.pad_size[1]}; add ShrinkToFit to the pipeline'
            )
        mean = self.mean.flip(1) if self._channel_conversion else self.mean
        padded = mean.to(clip.device).expand(len(clip), -1, *self.pad_size).clone()
        padded[..., :height, :width] = clip
        return padded.to(torch.float32)
