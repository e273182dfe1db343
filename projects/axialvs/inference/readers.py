"""Sources of frames: the interface, cameras, and frames in memory."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import cv2
import numpy as np

from axialvs.utils.errors import AxialVSError

ColorOrder = Literal['rgb', 'bgr']

DEFAULT_FRAME_RATE = 25.0
"""Frames per second of folders and arrays, for their timestamps."""


class VideoReadError(AxialVSError):
    """A source cannot be read."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video."""

    index: int
    """Frame number in the source, from 0."""
    timestamp: float
    """Seconds since the start of the source."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright, square pixels."""


class VideoReader(ABC):
    """A source of frames, with one frame in memory at a time.

    Every iteration starts from the beginning, except for cameras and streams.
    """

    source: str
    """Name of the source, for messages."""
    width: int
    """Width of the frames in pixels."""
    height: int
    """Height of the frames in pixels."""
    frame_rate: float | None
    """Average frames per second, or None if unknown."""
    num_frames: int | None
    """Number of frames according to the source, or None if unknown."""
    can_rewind: bool = True
    """Whether a second iteration yields the same frames."""
    truncated: str | None = None
    """After an iteration: why frames are missing, or None."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        """Messages about conversions and skipped frames, one line each."""

    def note(self, text: str) -> None:
        """Add a note once."""
        if text not in self.notes:
            self.notes.append(text)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order.

        Raises:
            VideoReadError: if a frame and all following ones cannot be read.
        """

    def expected_frames(self, stride: int, max_frames: int | None) -> int | None:
        """Return the number of frames for a stride and a limit, or None if it is unknown."""
        claimed = self.num_frames and -(-self.num_frames // stride)
        return min((x for x in (claimed, max_frames) if x is not None), default=None)

    def frame_name(self, index: int) -> str:
        """Return the name of a frame for output files, without suffix."""
        return f'{index:05d}'

    def close(self) -> None:  # noqa: B027, most sources hold nothing between iterations
        """Release the source."""

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CameraReader(VideoReader):
    """Frames of a camera until it stops or the reader is closed, with the time of arrival.

    Args:
        index: number of the camera, from 0.

    Raises:
        VideoReadError: if the camera cannot be opened or returns no image.
    """

    can_rewind = False

    def __init__(self, index: int) -> None:
        super().__init__()
        self.source = f'camera {index}'
        self._capture = cv2.VideoCapture(index)
        opened, first = self._capture.read()
        if not opened:
            self._capture.release()
            raise VideoReadError(
                f'{self.source}: cannot be opened or returns no image; check that it is plugged in '
                'and not in use, or try a different number'
            )
        self.height, self.width = first.shape[:2]
        self.frame_rate = self._capture.get(cv2.CAP_PROP_FPS) or None
        self.num_frames = None

    def __iter__(self) -> Iterator[Frame]:
        self.truncated, index, start = None, 0, time.monotonic()
        while self._capture.isOpened():
            arrived, image = self._capture.read()
            if not arrived:
                self.truncated = f'{self.source} stopped after {index} frames'
                return
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            yield Frame(index, time.monotonic() - start, rgb)
            index += 1

    def close(self) -> None:
        self._capture.release()


class MemoryReader(VideoReader):
    """Frames in memory or from a generator.

    Args:
        frames: (H, W, 3) uint8 each; a sequence, an array (L, H, W, 3) or an iterator.
        frame_rate: for the timestamps, 25 by default.
        color: channel order.

    Raises:
        VideoReadError: if there is no frame, or a frame has a different shape or type.
    """

    def __init__(
        self,
        frames: Iterable[np.ndarray],
        frame_rate: float | None = None,
        color: ColorOrder = 'rgb',
    ) -> None:
        super().__init__()
        if color not in ('rgb', 'bgr'):
            raise VideoReadError(f"color is '{color}'; use 'rgb' or 'bgr'")
        if frame_rate is not None and not frame_rate > 0:
            raise VideoReadError(f'frame_rate is {frame_rate}; it must be positive')
        self.source = 'frames in memory'
        self.frame_rate = frame_rate
        self._color = color
        self.can_rewind = iter(frames) is not frames
        self.num_frames = len(frames) if isinstance(frames, Sequence | np.ndarray) else None
        iterator = iter(frames)
        first = next(iterator, None)
        if first is None:
            raise VideoReadError('there are no frames')
        self._frames = frames if self.can_rewind else chain([first], iterator)
        self.height, self.width = self._check(first, 0)[:2]

    def _check(self, image: np.ndarray, index: int) -> tuple[int, ...]:
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise VideoReadError(
                f'frame {index} is {image.shape} {image.dtype}; frames are (H, W, 3) uint8'
            )
        return image.shape

    def __iter__(self) -> Iterator[Frame]:
        rate = self.frame_rate or DEFAULT_FRAME_RATE
        for index, image in enumerate(self._frames):
            height, width, _ = self._check(image, index)
            if (height, width) != (self.height, self.width):
                raise VideoReadError(
                    f'frame {index} has {width}x{height} pixels, the first one {self.width}x'
                    f'{self.height}; resize the frames to one size'
                )
            rgb = np.asarray(image)[..., :: 1 if self._color == 'rgb' else -1]
            yield Frame(index, index / rate, np.ascontiguousarray(rgb))
