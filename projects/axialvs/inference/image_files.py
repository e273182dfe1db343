"""Decode images, and read folders of images as videos."""

import io
import os
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from axialvs.inference.readers import DEFAULT_FRAME_RATE, Frame, VideoReader, VideoReadError
from axialvs.utils.files import IMAGE_SUFFIXES, natural_key

_ALPHA_SUFFIXES = ('.png', '.webp', '.tif', '.tiff')
_UINT8_BITS, _UINT16_BITS = 8, 16
_ORIENTATION = 0x0112  # EXIF
_SENSOR_BITS = (10, 12, 14)
COLOR_AND_DEPTH = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
"""OpenCV's flags for (H, W, 3) BGR with the bit depth of the file."""


def read_image(path: Path, bits: int | None = None) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB, upright according to its EXIF data.

    Transparent pixels are black. 16-bit images are scaled by their bit depth.

    Args:
        path: the file.
        bits: depth of the values in 16-bit files, see `stored_bits`; all 16 by default.

    Raises:
        VideoReadError: if it cannot be read or is not an image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise VideoReadError(f'{path}: cannot be read ({error.strerror})') from error
    check_tiff_colors(path)
    return to_rgb(lambda flags: _decode(data, flags), bits, str(path))


def to_rgb(decode: Callable[[int], np.ndarray | None], bits: int | None, name: str) -> np.ndarray:
    """Decode an image by OpenCV and convert it to (H, W, 3) uint8 RGB over black.

    Args:
        decode: called with OpenCV's flags; None if the image is unreadable.
        bits: depth of 16-bit values.
        name: name of the image, for messages.

    Raises:
        VideoReadError: if it is unreadable or has neither 8 nor 16 bits.
    """
    image = decode(COLOR_AND_DEPTH)
    if image is None:
        raise VideoReadError(f'{name}: is not a readable image; replace the file or remove it')
    if image.dtype == np.uint16:
        shift = (bits or _UINT16_BITS) - _UINT8_BITS
        image = (image >> shift).clip(max=255).astype(np.uint8)
    elif image.dtype != np.uint8:
        raise VideoReadError(f'{name}: has {image.dtype} values; convert it to 8 or 16 bits')
    if Path(name).suffix.lower() in _ALPHA_SUFFIXES:
        alpha = decode(cv2.IMREAD_UNCHANGED)
        if alpha is not None and alpha.ndim == 3 and alpha.shape[2] == 4:
            image = over_black(image, alpha[..., 3])
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _decode(data: np.ndarray, flags: int) -> np.ndarray | None:
    """Decode an image by OpenCV, upright, or return None if it cannot be read."""
    start = data[:12].tobytes()
    if start[1:4] == b'PNG' and b'acTL' in data.tobytes():
        return _decode_animated_png(data, flags)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # for instance more pixels than OpenCV decodes
        return None
    # OpenCV applies the EXIF orientation, except for WebP and PNG with alpha.
    is_stored = start[8:] == b'WEBP' or (start[1:4] == b'PNG' and flags == cv2.IMREAD_UNCHANGED)
    if image is None or not is_stored:
        return image
    try:
        with Image.open(io.BytesIO(data)) as header:
            return _turned(image, header.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data, which OpenCV ignores in other formats
        return image


def _decode_animated_png(data: np.ndarray, flags: int) -> np.ndarray | None:
    """Decode the first frame by Pillow: OpenCV 4.12 crashes on damaged animations."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(ImageOps.exif_transpose(image).convert('RGBA'))
    except Exception:  # the parsers of Pillow can raise anything
        return None
    return cv2.cvtColor(
        pixels, cv2.COLOR_RGBA2BGRA if flags == cv2.IMREAD_UNCHANGED else cv2.COLOR_RGBA2BGR
    )


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Apply the EXIF orientation, 1 to 8, to an image."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    flip_y, flip_x = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def over_black(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Blend an image (H, W, 3) uint8 over black by its alpha (H, W)."""
    opacity = alpha.astype(np.float32) / np.iinfo(alpha.dtype).max
    return np.rint(image * opacity[..., None]).astype(np.uint8)


def stored_bits(image: np.ndarray | None) -> int:
    """Infer the bit depth of an image; sensors store 10, 12 or 14 bits in 16-bit files."""
    if image is None or image.dtype != np.uint16:
        return _UINT8_BITS
    largest = int(image.max())
    if largest < 2**_UINT8_BITS:
        return _UINT16_BITS  # too dark to tell
    return next((bits for bits in _SENSOR_BITS if largest < 2**bits), _UINT16_BITS)


TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_PHOTOMETRIC = 262
_LAB_COLORS = (8, 9, 10)


def check_tiff_colors(path: Path) -> None:
    """Reject TIFF files in L*a*b*, whose colors OpenCV reads wrongly.

    Raises:
        VideoReadError: if the file is in L*a*b*.
    """
    with open(path, 'rb') as file:
        start = file.read(8)
        if start[:4] not in TIFF_STARTS[:2]:
            return
        directory = TiffImagePlugin.ImageFileDirectory_v2(start)
        try:
            file.seek(directory.next)
            directory.load(file)
        except (OSError, ValueError, SyntaxError, struct.error):  # the decoder says what is wrong
            return
        if directory.get(_PHOTOMETRIC) in _LAB_COLORS:
            raise VideoReadError(f'{path}: has L*a*b* colors; convert it to RGB')


def is_cut_off_tiff(path: Path) -> bool:
    """Return whether pages of a TIFF file are missing, which OpenCV does not report."""
    with open(path, 'rb') as file:
        start = file.read(8)
        if start[:4] not in TIFF_STARTS[:2]:
            return False
        order = '<' if start[:2] == b'II' else '>'
        link, seen = start[4:], set()
        while link not in seen:
            seen.add(link)
            if not any(link):  # the last page
                return False
            file.seek(*struct.unpack(f'{order}I', link))
            count = file.read(2)
            if len(count) < 2:
                return True
            file.seek(12 * struct.unpack(f'{order}H', count)[0], os.SEEK_CUR)
            link = file.read(4)
            if len(link) < 4:
                return True
        return False


def count_images(path: Path) -> int:
    """Count the images in a file: pages, frames of an animation, images of a phone.

    Returns 1 for unreadable files.
    """
    try:
        with open(path, 'rb') as file:
            if file.read(4) in TIFF_STARTS:
                return cv2.imcount(str(path))
        with Image.open(path) as image:
            return getattr(image, 'n_frames', 1)
    except (OSError, ValueError, SyntaxError, EOFError, cv2.error, Image.DecompressionBombError):
        return 1


_MASK_ENDING = re.compile(r'[-_. ](mask|masks|seg|label|labels|gt|annotation)$', re.IGNORECASE)


class ImageFolderReader(VideoReader):
    """Frames of a folder of images, in natural order of their names, or a single image.

    Args:
        path: the folder, or an image file.
        frame_rate: for the timestamps, 25 by default.

    Raises:
        VideoReadError: if the folder has no images, or mixes images and masks, or the first image
            cannot be read; while iterating, if an image is unreadable or sizes differ.
    """

    def __init__(self, path: str | Path, frame_rate: float | None = None) -> None:
        super().__init__()
        self.source = str(path)
        folder = Path(path)
        found = folder.iterdir() if folder.is_dir() else [folder]
        entries = [x for x in found if x.name[0] != '.' and not x.is_dir()]
        images = [x for x in entries if x.suffix.lower() in IMAGE_SUFFIXES and x.exists()]
        self._files = sorted(images, key=lambda file: natural_key(file.name))
        if not self._files:
            raise VideoReadError(
                f'{path}: the folder holds no images ({", ".join(IMAGE_SUFFIXES)}); '
                'give the folder that holds the frames'
            )
        self._refuse_pairs()
        self._note_skipped([x for x in entries if x not in images])
        self.frame_rate = frame_rate
        self.num_frames = len(self._files)
        first = self._files[0]
        self._bits = stored_bits(_decode(np.fromfile(first, np.uint8), COLOR_AND_DEPTH))
        if self._bits in _SENSOR_BITS:
            self.note(f'16-bit images hold {self._bits}-bit values and are scaled as such')
        self.height, self.width = read_image(first, self._bits).shape[:2]

    def frame_name(self, index: int) -> str:
        return self._files[index].stem

    def _refuse_pairs(self) -> None:
        """Reject folders with two images of the same name, such as a frame and its mask."""
        stems = [_MASK_ENDING.sub('', file.stem) for file in self._files]
        stem, count = Counter(stems).most_common(1)[0]
        if count > 1:
            pair = [file.name for file, x in zip(self._files, stems, strict=True) if x == stem]
            names = ' and '.join(pair[:2])
            raise VideoReadError(
                f'{self.source}: holds {names}, which look like an image and its mask; move the '
                'masks to a different folder'
            )

    def _note_skipped(self, skipped: list[Path]) -> None:
        if not skipped:
            return
        kinds = Counter(
            'broken link' if x.is_symlink() and not x.exists() else x.suffix or 'no suffix'
            for x in skipped
        )
        listed = ', '.join(f'{count} x {kind}' for kind, count in kinds.items())
        self.note(f'skipping {len(skipped)} files of the folder that are not images ({listed})')

    def __iter__(self) -> Iterator[Frame]:
        self.truncated = None
        rate = self.frame_rate or DEFAULT_FRAME_RATE
        left_out = {}
        for index, file in enumerate(self._files):
            image = read_image(file, self._bits)
            height, width = image.shape[:2]
            if (width, height) != (self.width, self.height):
                raise VideoReadError(
                    f'{file}: has {width}x{height} pixels, but {self._files[0].name} has '
                    f'{self.width}x{self.height}; resize the images to one size'
                )
            if (images := count_images(file)) > 1:
                left_out[file.name] = images - 1
            if is_cut_off_tiff(file):
                self.truncated = f'{file} is cut off: pages are missing'
            yield Frame(index, index / rate, image)
        if left_out:
            self.note(
                f'{len(left_out)} files hold several images, the first is {next(iter(left_out))}; '
                f'only the first image of each is read, {sum(left_out.values())} are left out'
            )
