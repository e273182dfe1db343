"""Writing images to disk."""

from pathlib import Path

import cv2
import numpy as np

_JPEG_QUALITY = 92


def write_frames(folder: Path, frames: np.ndarray) -> None:
    """Write frames (L, H, W, 3), uint8 RGB, as 00000.jpg, 00001.jpg ... into a new folder."""
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        write_image(folder / f'{index:05d}.jpg', frame, quality)


def write_image(path: Path, image: np.ndarray, parameters: list[int] | None = None) -> None:
    """Write an image (H, W, 3), uint8 RGB.

    Args:
        path: output file; its suffix is the format.
        image: the image.
        parameters: parameters of cv2.imwrite.

    Raises:
        OSError: if the image cannot be written.
    """
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters or []):
        raise OSError(f'{path}: the image could not be written; is the disk full?')
