"""Interface of finishers, which turn the logits of a video into tracks."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from axialvs.structures import ImageShapes, Track
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import encode_masks

# Yields the mask logits (n, T, H, W) of some queries (n,), clip by clip.
LogitReader = Callable[[Tensor], Iterator[Tensor]]


class FrameShapeError(AxialVSError):
    """The frames of a video have different shapes."""


class StreamedClip(NamedTuple):
    """Objects of one clip of a stream."""

    ids: np.ndarray  # (n,) int
    labels: np.ndarray  # (n,) int
    scores: np.ndarray  # (n,) float
    masks: np.ndarray  # (n, T, H, W) bool, at the original size
    is_thing: np.ndarray  # (n,) bool; stuff has one track per class

    def select(self, keep: np.ndarray) -> 'StreamedClip':
        """Return the objects where `keep` (n,) is True."""
        return StreamedClip(*(field[keep] for field in self))


class StreamedTracks:
    """Collect the tracks of a stream from its clips."""

    def __init__(self) -> None:
        self._num_frames = 0
        self._labels: dict[int, tuple[int, bool]] = {}  # label in the last clip, is_thing
        self._rles: dict[int, dict[int, dict]] = {}  # by frame
        self._scores: dict[int, dict[int, float]] = {}  # by frame

    def add(self, clip: StreamedClip) -> None:
        """Add the next clip."""
        for track_id, label, score, masks, is_thing in zip(*clip, strict=True):
            rles = {self._num_frames + t: rle for t, rle in enumerate(encode_masks(masks)) if rle}
            if rles:
                number = int(track_id)
                self._labels[number] = int(label), bool(is_thing)
                self._rles.setdefault(number, {}).update(rles)
                self._scores.setdefault(number, {}).update(dict.fromkeys(rles, float(score)))
        self._num_frames += clip.masks.shape[1]

    def tracks(self) -> list[Track]:
        """Return all tracks so far that have a mask.

        The class is that of the last clip. The score is averaged over the frames with a mask,
        because the score of the last clip drops when the object has left.
        """
        frames = range(self._num_frames)
        return [
            Track(
                number,
                label,
                sum(self._scores[number].values()) / len(self._scores[number]),
                [self._rles[number].get(i) for i in frames],
                is_thing,
                [self._scores[number].get(i) for i in frames],
            )
            for number, (label, is_thing) in self._labels.items()
        ]


class StreamFinisher(Protocol):
    """Finish a stream clip by clip; results are never revised."""

    def add(
        self,
        mask_logits: Tensor,
        class_logits: Tensor,
        shapes: ImageShapes,
        identity: Tensor | None = None,
    ) -> StreamedClip:
        """Finish the next clip.

        Args:
            mask_logits: (Q, T, H, W), aligned, without padded frames.
            class_logits: mean over the clips so far, (Q, N + 1).
            shapes: shapes of the frames.
            identity: (Q, C) if clips are not aligned, see `LinkedClip`.
        """

    def tracks(self) -> list[Track]:
        """All tracks so far."""


class Finisher(Protocol):
    """Strategy that turns the logits of a video into tracks."""

    @property
    def thing_labels(self) -> frozenset[int] | None:
        """Labels of thing classes, all others are stuff; None if all are things."""

    def finish(
        self, class_logits: Tensor, read_logits: LogitReader, shapes: ImageShapes
    ) -> list[Track]:
        """Select and finish the tracks of a whole video.

        Args:
            class_logits: (Q, N + 1) of the whole video.
            read_logits: yields the mask logits of the selected queries.
            shapes: shapes of the frames.
        """

    def stream(self, score_thr: float) -> StreamFinisher:
        """Start a stream that outputs objects with at least this score."""


def check_same_shapes(before: ImageShapes | None, now: ImageShapes) -> ImageShapes:
    """Check that the frame shapes do not change within a video, and return them.

    Raises:
        FrameShapeError: if they change.
    """
    if before not in (None, now):
        raise FrameShapeError(f'frames change size within a video: {before} before, {now} now')
    return now
