"""What every source of frames gives: frames in order, and what is known of the source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


class VideoReadError(ValueError):
    """A source cannot be read. The message names it, says why and what to do."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video."""

    index: int
    """Number of the frame, from 0 on."""
    timestamp: float
    """Seconds since the start of the source."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright."""


class VideoReader(ABC):
    """A source of frames, read as they are needed: iterating over it holds one frame at a time.

    Files and folders start anew with every iteration; a camera goes on.
    """

    source: str
    """Name of the source, for messages."""
    width: int
    """Width of the upright frames in pixels."""
    height: int
    """Height of the upright frames in pixels."""
    frame_rate: float | None
    """Average number of frames a second, or None if unknown."""
    num_frames: int | None
    """Number of frames that the source claims to have, or None if unknown."""
    can_rewind: bool = True
    """Whether a second iteration gives the same frames again."""
    truncated: str | None = None
    """After reading: why fewer frames came than there should be, or None if all is well."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order.

        Raises:
            VideoReadError: If a frame cannot be read and nothing can be read after it.
        """

    def close(self) -> None:  # noqa: B027, files and folders hold nothing between readings
        """Give up what the source holds open."""

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
