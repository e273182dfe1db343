"""Axial-trajectory attention of a point to the frames of a clip."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axialvs.functional.trajectory_attention import split_heads
from axialvs.inference.frame_preparation import FramePreparation
from axialvs.layers.temporal.axial_trajectory import AxialTrajectoryLayer
from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.structures import ImageShapes, Size
from axialvs.utils.errors import AxialVSError

# mmdet.models cannot be imported before axialvs.register.
if TYPE_CHECKING:
    from axialvs.models.clip_segmenter import ClipSegmenter


class Trajectory(NamedTuple):
    """Spatial attention weights (Axial-VS Eq. 2) of one point, in one layer at one resolution.

    Attributes:
        layer: name of the module.
        height: (h, T, H) for h heads, sums to 1 over H.
        width: (h, T, W), sums to 1 over W.
    """

    layer: str
    height: Tensor
    width: Tensor

    def heat(self) -> Tensor:
        """Product of both axes, averaged over heads (Fig. 1 and 12 to 14): (T, H, W)."""
        return (self.height[..., :, None] * self.width[..., None, :]).mean(0)

    def head(self, index: int) -> 'Trajectory':
        """That of one head."""
        return Trajectory(self.layer, self.height[[index]], self.width[[index]])

    def resized(self, size: Size) -> Tensor:
        """Resize `heat` to (H, W), with a sum of 1 per frame."""
        heat = F.interpolate(
            self.heat()[None], size=size, mode='bilinear', align_corners=False
        ).squeeze(0)
        return heat / heat.sum((1, 2), keepdim=True)


class Call(NamedTuple):
    """Input of one call of a `TrajectoryAttention`."""

    attention: TrajectoryAttention
    query_key: Tensor  # (B * lines, T * n, C)
    num_frames: int


class ClipAttention:
    """Axial-trajectory attention of a clip, which can be queried for any number of points.

    Args:
        model: model with axial-trajectory attention.
        images: T frames (H, W, 3), RGB uint8.

    Raises:
        AxialVSError: if the model has no such attention.
    """

    @torch.no_grad()
    def __init__(self, model: 'ClipSegmenter', images: Sequence[np.ndarray]) -> None:
        self._num_frames, self._size = len(images), images[0].shape[:2]
        inputs, self._shapes = FramePreparation(model)(images)
        with _recorded_calls(model) as self._calls:
            model.predict_clip(inputs)
        if not self._calls:
            raise AxialVSError(
                'the model has no axial-trajectory attention; use an axialvs-wc_... or '
                'axialvs-cc_... config and its weights'
            )

    @torch.no_grad()
    def trajectories(self, frame: int, point: tuple[float, float]) -> list[Trajectory]:
        """Compute the attention of a point.

        Args:
            frame: index of the point's frame.
            point: (x, y) in pixels of the frame.

        Returns:
            One trajectory per layer and resolution, in the order of the network.

        Raises:
            AxialVSError: if the point is not in the clip.
        """
        (height, width), (x, y) = self._size, point
        if not (0 <= frame < self._num_frames and 0 <= x < width and 0 <= y < height):
            raise AxialVSError(
                f'point {x:g}, {y:g} of frame {frame} is not in a clip of {self._num_frames} '
                f'frames of {width}x{height} pixels'
            )
        # The resized frame is at the top left of the padded input.
        padded, resized = self._shapes.batch_input_shape, self._shapes.img_shape
        x_share = (x + 0.5) / width * resized[1] / padded[1]
        y_share = (y + 0.5) / height * resized[0] / padded[0]
        return [_trajectory(*call, frame, (x_share, y_share), self._shapes) for call in self._calls]


@contextmanager
def _recorded_calls(model: nn.Module) -> Iterator[list[tuple[str, Call, Call]]]:
    """Record the inputs of both attentions of every call of an axial-trajectory layer."""
    pairs: list[tuple[str, Call, Call]] = []
    last: list[Call] = []

    def record(attention: TrajectoryAttention, args: tuple, kwargs: dict) -> None:
        last.append(Call(attention, args[0], kwargs['num_frames']))

    def pair(name: str) -> None:
        pairs.append((name, *last))
        last.clear()

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, AxialTrajectoryLayer):
            for attention in (module.height_attn, module.width_attn):
                handles.append(attention.register_forward_pre_hook(record, with_kwargs=True))
            handles.append(module.register_forward_hook(lambda *_, name=name: pair(name)))
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()


def _trajectory(
    name: str,
    along_height: Call,
    along_width: Call,
    frame: int,
    shares: tuple[float, float],
    shapes: ImageShapes,
) -> Trajectory:
    num_columns, num_rows = len(along_height.query_key), len(along_width.query_key)
    x = min(int(shares[0] * num_columns), num_columns - 1)
    y = min(int(shares[1] * num_rows), num_rows - 1)
    height = spatial_weights(along_height, line=x, frame=frame, position=y)
    width = spatial_weights(along_width, line=y, frame=frame, position=x)
    # Crop the padding.
    rows = -(-num_rows * shapes.img_shape[0] // shapes.batch_input_shape[0])
    columns = -(-num_columns * shapes.img_shape[1] // shapes.batch_input_shape[1])
    return Trajectory(name, _cropped(height, rows), _cropped(width, columns))


def _cropped(weights: Tensor, length: int) -> Tensor:
    weights = weights[..., :length]
    return weights / weights.sum(-1, keepdim=True)


def spatial_weights(call: Call, line: int, frame: int, position: int) -> Tensor:
    """Compute the weights of one token over its line in each frame (Eq. 2), (h, T, n).

    Args:
        call: input of the attention.
        line: index of the sequence: a column along the height, a row along the width.
        frame, position: frame and position of the token in the line.
    """
    attention, num_frames = call.attention, call.num_frames
    tokens = call.query_key[line : line + 1]
    token = frame * (tokens.shape[1] // num_frames) + position
    query = split_heads(attention.q(tokens[:, token : token + 1]), attention.num_heads)
    key = split_heads(attention.k(tokens), attention.num_heads)
    scores = (query * attention.scale) @ key.transpose(-1, -2)  # 1, h, 1, T * n
    return scores[0, :, 0].unflatten(-1, (num_frames, -1)).float().softmax(-1)
