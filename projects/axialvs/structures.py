"""Predictions of a clip and of a video, tracks, and the shapes of a frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from axialvs.utils.errors import AxialVSError

Size = tuple[int, int]
"""Height and width."""
_MAX_LISTED = 5  # items of a list in a repr


def _shapes(value: Any) -> str:
    """Summarize a field: shape and dtype of arrays, number of items in lists."""
    if isinstance(value, Tensor | np.ndarray):
        return f'{tuple(value.shape)} {str(value.dtype).removeprefix("torch.")}'
    if isinstance(value, list) and len(value) > _MAX_LISTED:
        return f'[{_shapes(value[0])}, ... {len(value)} in all]'
    if isinstance(value, list):
        return f'[{", ".join(map(_shapes, value))}]'
    if isinstance(value, dict):  # an RLE
        return f'RLE of {value.get("size")}'
    return f'{value:.4g}' if isinstance(value, float) else repr(value)


def _with_shapes(record: Any, fields: dict[str, Any]) -> str:
    listed = ', '.join(f'{name}={_shapes(value)}' for name, value in fields.items())
    return f'{type(record).__name__}({listed})'


class ClipPrediction(NamedTuple):
    """Prediction for one clip.

    Attributes:
        class_logits: (Q, N + 1), the last column is no-object.
        mask_logits: (Q, T, H, W) at stride 4 of the padded input, rounded up.
        queries: (Q, C) of the last decoder layer, before its norm.
        mask_embeddings: (Q, C), Video-kMaX only.
        track_embeddings: (Q, C), learned for linking, Tube-Link only.
    """

    class_logits: Tensor
    mask_logits: Tensor
    queries: Tensor
    mask_embeddings: Tensor | None = None
    track_embeddings: Tensor | None = None

    def __repr__(self) -> str:
        return _with_shapes(self, self._asdict())

    @property
    def identity(self) -> Tensor:
        """Features that link clips (Q, C): track or mask embeddings if any, else the queries."""
        for embeddings in (self.track_embeddings, self.mask_embeddings):
            if embeddings is not None:
                return embeddings
        return self.queries

    def reorder(self, order: Tensor) -> 'ClipPrediction':
        """Permute the queries by indices (Q,)."""
        return ClipPrediction._make(None if field is None else field[order] for field in self)


class ClipFeatures(NamedTuple):
    """Inputs of the offline refinement from a clip, or from a batch of clips (B, ...)."""

    identity: Tensor  # (Q, C) features that match clips
    queries: Tensor  # (Q, C) of the last decoder layer, before its norm
    mask_features: Tensor  # (T, C, H, W)

    def reorder(self, order: Tensor) -> 'ClipFeatures':
        """Permute the queries by indices (Q,)."""
        return self._replace(identity=self.identity[order], queries=self.queries[order])


class LinkedClip(NamedTuple):
    """Final prediction for one clip of a stream, with queries aligned to the previous clips.

    If queries are not aligned, because objects are linked after the merge, `identity` is set.
    """

    mask_logits: Tensor  # (Q, T, H, W) at stride 4 of the padded input, rounded up
    class_logits: Tensor  # (Q, N + 1), averaged over the stream so far if aligned
    identity: Tensor | None = None  # (Q, C) features that link objects


class VideoPrediction(NamedTuple):
    """Prediction for a whole video, queries in the order of the first clip.

    Attributes:
        class_logits: (Q, N + 1).
        mask_logits: (Q, L, H, W) at stride 4 of the padded input, rounded up.
    """

    class_logits: Tensor
    mask_logits: Tensor

    def __repr__(self) -> str:
        return _with_shapes(self, self._asdict())


class ImageShapes(NamedTuple):
    """Shapes of a frame in the data pipeline, named as in mmdet's metainfo."""

    batch_input_shape: Size  # resized and padded, the network's input
    img_shape: Size  # resized
    ori_shape: Size  # in the file
    align_corners: bool = False  # how mask logits are resized


@dataclass(repr=False)
class Track:
    """One object, or one stuff class, in a video.

    Attributes:
        id: track id, from 1 in each video.
        label: index into the model's `class_names`.
        score: 0 to 1.
        segmentations: one COCO RLE per frame, None where the object is absent.
        is_thing: False for stuff.
        frame_scores: score in each frame, None where the object is absent; empty if a panoptic
            video was scored as a whole.
    """

    id: int
    label: int
    score: float
    segmentations: list[dict | None]
    is_thing: bool = True
    frame_scores: list[float | None] = field(default_factory=list)

    def __repr__(self) -> str:
        return _with_shapes(self, vars(self))


@dataclass(repr=False)
class ClipResult:
    """The n tracks in the frames of one clip, at the original frame size.

    Attributes:
        frame_indices: T frame numbers in the source.
        timestamps: T times in seconds.
        ids: (n,) int, the same in all clips.
        labels: (n,) int, indices into the model's `class_names`.
        scores: (n,) float, of the video so far.
        masks: (n, T, H, W) bool.
        images: T frames (H, W, 3), uint8 RGB.
        is_thing: (n,) bool; stuff has one track per class.
    """

    frame_indices: list[int]
    timestamps: list[float]
    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    masks: np.ndarray
    images: list[np.ndarray]
    is_thing: np.ndarray

    def __repr__(self) -> str:
        return _with_shapes(self, vars(self))

    @property
    def boxes(self) -> np.ndarray:
        """Return the boxes of the masks (n, T, 4) as x1, y1, x2, y2, with exclusive x2 and y2.

        NaN if a track has no mask.
        """
        boxes = np.full((*self.masks.shape[:2], 4), np.nan, dtype=np.float32)
        for axis, along in enumerate((2, 3)):  # columns, rows
            pixels: np.ndarray = np.any(self.masks, axis=along)
            visible = np.any(pixels, axis=2)
            boxes[visible, axis] = pixels.argmax(2)[visible]
            boxes[visible, axis + 2] = pixels.shape[2] - pixels[..., ::-1].argmax(2)[visible]
        return boxes

    def to_supervision(self, class_names: Sequence[str] | None = None) -> list[Any]:
        """Convert to `supervision.Detections`, one per frame, with masks, boxes and track ids.

        Args:
            class_names: the model's classes, for the field `class_name`.

        Raises:
            AxialVSError: if the package supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise AxialVSError(
                "supervision is not installed; run: pip install 'axialvs[supervision]'"
            ) from error
        frames = []
        for masks in self.masks.swapaxes(0, 1):
            visible = masks.any((1, 2))
            labels = self.labels[visible]
            data = {'is_thing': self.is_thing[visible]}
            if class_names is not None:
                data['class_name'] = np.array([class_names[x] for x in labels], dtype=str)
            frames.append(
                supervision.Detections(
                    # Inclusive corners, as supervision computes them.
                    xyxy=supervision.mask_to_xyxy(masks[visible]).astype(np.float32),
                    mask=masks[visible],
                    confidence=self.scores[visible],
                    class_id=labels,
                    tracker_id=self.ids[visible],
                    data=data,
                )
            )
        return frames
