"""What every source of frames gives: frames in order, and what is known of the source."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import IMAGE_SUFFIXES, natural_key


class VideoReadError(AxialVSError):
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


class CameraReader(VideoReader):
    """Frames of a camera until it stops or the reader is closed. Timestamps are times of arrival.

    Args:
        index: Number of the camera, from 0 on.

    Raises:
        VideoReadError: If the camera cannot be opened or delivers no picture.
    """

    can_rewind = False

    def __init__(self, index: int) -> None:
        self.source = f'camera {index}'
        self._capture = cv2.VideoCapture(index)
        opened, first = self._capture.read()
        if not opened:
            self._capture.release()
            raise VideoReadError(
                f'{self.source}: cannot be opened or gives no picture; check that it is plugged '
                f'in and not in use, or try another number'
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


DEFAULT_FRAME_RATE = 25.0
"""Frames a second that give the images of a folder their timestamps if nothing is known."""


def read_image(path: Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB, turned upright as its EXIF data says.

    Raises:
        VideoReadError: If it cannot be read or is no image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise VideoReadError(f'{path}: cannot be read ({error.strerror})') from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise VideoReadError(f'{path}: is not a readable image; replace the file or remove it')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


class ImageFolderReader(VideoReader):
    """Frames of a folder of images. Files that are no images by their name are left alone.

    Args:
        path: The folder.
        frame_rate: Frames a second, for the timestamps.

    Raises:
        VideoReadError: If the folder has no images or the first one cannot be read; while
            iterating, if an image cannot be read or has another size than the first.
    """

    def __init__(self, path: str | Path, frame_rate: float | None = None) -> None:
        self.source = str(path)
        files = [f for f in Path(path).iterdir() if f.is_file() and f.name[0] != '.']
        images = [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
        self._files = sorted(images, key=lambda file: natural_key(file.name))
        if not self._files:
            raise VideoReadError(
                f'{path}: the folder holds no images ({", ".join(IMAGE_SUFFIXES)}); '
                f'give the folder in which the frames lie'
            )
        self.frame_rate = frame_rate
        self.num_frames = len(self._files)
        self.height, self.width = read_image(self._files[0]).shape[:2]

    def __iter__(self) -> Iterator[Frame]:
        rate = self.frame_rate or DEFAULT_FRAME_RATE
        for index, file in enumerate(self._files):
            image = read_image(file)
            height, width = image.shape[:2]
            if (width, height) != (self.width, self.height):
                raise VideoReadError(
                    f'{file}: has {width}x{height} pixels, but {self._files[0].name} has '
                    f'{self.width}x{self.height}; bring all images of the folder to one size'
                )
            yield Frame(index, index / rate, image)
