"""What the model says of a clip and of a video, and where a frame's pixels lie."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor


class ClipPrediction(NamedTuple):
    """One clip's answer of the network."""

    class_logits: Tensor  # (Q, N + 1), the last column means no object
    mask_logits: Tensor  # (Q, T, H, W) at a quarter of the padded input, rounded up
    queries: Tensor  # (Q, C), the last decoder layer's, before its norm


class LinkedClip(NamedTuple):
    """A clip of a stream, as far as it will be known: its queries follow the clips before it."""

    mask_logits: Tensor  # (Q, T, H, W) at a quarter of the padded input, rounded up
    class_logits: Tensor  # (Q, N + 1), from the stream so far


class VideoPrediction(NamedTuple):
    """A whole video's answer, queries in the order of the first clip."""

    class_logits: Tensor  # (Q, N + 1)
    mask_logits: Tensor  # (Q, L, H, W) at a quarter of the padded input, rounded up


class ImageShapes(NamedTuple):
    """Sizes, each (height, width), that a frame had on its way into the network."""

    padded: tuple[int, int]  # what the network saw
    resized: tuple[int, int]  # without padding
    original: tuple[int, int]  # in the file
    align_corners: bool = False  # how mask logits are resized


@dataclass
class Track:
    """One object through a video."""

    id: int
    label: int
    score: float
    segmentations: list[dict | None]  # COCO RLE or None for every frame of the video


@dataclass
class ClipResult:
    """The tracks in the frames of one clip, at the frames' original size."""

    frame_indices: list[int]
    timestamps: list[float]
    ids: np.ndarray  # (n,) int
    labels: np.ndarray  # (n,) int
    scores: np.ndarray  # (n,) float, so far
    masks: np.ndarray  # (n, T, H, W) bool
    images: list[np.ndarray]  # T frames (H, W, 3), RGB uint8
