"""Frames of a folder of images, in natural order of their names."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from axialvs.frame_files import IMAGE_SUFFIXES, natural_key
from axialvs.inference.frames import Frame, VideoReader, VideoReadError

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
