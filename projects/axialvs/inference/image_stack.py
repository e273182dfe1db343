"""Read files with several images as videos: TIFF pages, GIF, PNG or WebP animations."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence

from axialvs.inference.image_files import (
    COLOR_AND_DEPTH,
    TIFF_STARTS,
    check_tiff_colors,
    count_images,
    is_cut_off_tiff,
    over_black,
    stored_bits,
    to_rgb,
)
from axialvs.inference.readers import DEFAULT_FRAME_RATE, Frame, VideoReader, VideoReadError
from axialvs.utils.images import open_image

_ANIMATIONS = ('PNG', 'WEBP')
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA')  # of 8 bits


def open_stack(path: Path, frame_rate: float | None = None) -> VideoReader | None:
    """Open an image file with several frames; return None for other files.

    Args:
        path: the file.
        frame_rate: for the timestamps; by default that of the animation, and 25 for TIFF.
    """
    if count_images(path) < 2:
        return None
    with open(path, 'rb') as file:
        if file.read(4) in TIFF_STARTS:
            check_tiff_colors(path)
            return TiffReader(path, frame_rate)
    with Image.open(path) as image:
        is_animation = image.format in _ANIMATIONS and image.mode in _MODES
    return AnimationReader(path, frame_rate) if is_animation else None


class TiffReader(VideoReader):
    """Pages of a TIFF that have the size of the first one; others are previews.

    Args:
        path: the file.
        frame_rate: for the timestamps, 25 by default.

    Raises:
        VideoReadError: if a page cannot be read.
    """

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        super().__init__()
        self.source = str(path)
        self.frame_rate = frame_rate
        self.num_frames = cv2.imcount(str(path))
        self._bits = stored_bits(self._decode(0, COLOR_AND_DEPTH))
        self.height, self.width = self._read(0).shape[:2]

    def _decode(self, page: int, flags: int) -> np.ndarray | None:
        try:
            readable, images = cv2.imreadmulti(self.source, page, 1, flags=flags)
        except cv2.error:
            return None
        return images[0] if readable else None

    def _read(self, page: int) -> np.ndarray:
        name = f'page {page + 1} of {self.source}'
        return to_rgb(partial(self._decode, page), self._bits, name)

    def __iter__(self) -> Iterator[Frame]:
        rate = self.frame_rate or DEFAULT_FRAME_RATE
        self.truncated, index = None, 0
        for page in range(cv2.imcount(self.source)):
            image = self._read(page)
            if image.shape[:2] != (self.height, self.width):
                self.note('pages that differ in size from the first one are skipped')
                continue
            yield Frame(index, index / rate, image)
            index += 1
        if is_cut_off_tiff(Path(self.source)):
            self.truncated = f'the file is cut off after {index} pages'


class AnimationReader(VideoReader):
    """Frames of an animated GIF, PNG or WebP, with the timestamps of the file.

    Args:
        path: the file.
        frame_rate: overrides the timestamps of the file.

    Raises:
        VideoReadError: if the file is not an image.
    """

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        super().__init__()
        self.source = str(path)
        self.frame_rate = frame_rate
        self.num_frames = count_images(path)
        with open_image(path, VideoReadError, verify=False) as image:
            self.width, self.height = image.size

    def __iter__(self) -> Iterator[Frame]:
        self.truncated = None
        time, count = 0.0, 0
        with Image.open(self.source) as animation:
            try:
                for image in ImageSequence.Iterator(animation):
                    rgba = np.asarray(image.convert('RGBA'))
                    yield Frame(count, time, over_black(rgba[..., :3], rgba[..., 3]))
                    count += 1
                    if self.frame_rate is None:
                        time += image.info.get('duration', 0) / 1000 or 1 / DEFAULT_FRAME_RATE
                    else:
                        time += 1 / self.frame_rate
            except (OSError, ValueError, SyntaxError, EOFError) as error:
                self.truncated = f'frame {count + 1} of {self.num_frames} cannot be read ({error})'
                if count == 0:
                    raise VideoReadError(f'{self.source}: {self.truncated}') from error
        if self.truncated is None and self._is_cut_off_gif():
            self.truncated = f'the file is cut off after {count} frames'

    def _is_cut_off_gif(self) -> bool:
        """Return whether a GIF lacks its trailer; its number of frames is not stored."""
        with open(self.source, 'rb') as file:
            is_gif = file.read(3) == b'GIF'
            file.seek(-1, os.SEEK_END)
            return is_gif and file.read() != b';'
