"""Frames of a camera, as they come."""

import time
from collections.abc import Iterator

import cv2

from axialvs.inference.frames import Frame, VideoReader, VideoReadError


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
