"""Reads images whose pixels name objects: palette indices, grey values or colours."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as mask_utils

from axialvs.data_tools.converters.labelled_video import RLE, ConversionError

# Smoothed or lossy masks have as many values as an image has greys; labelled ones have a handful.
MAX_OBJECTS = 100
_DEEP_MODES = ('I;16', 'I;16B', 'I')
_INDEXED_MODES = ('P', 'L', '1', 'LA', 'PA', *_DEEP_MODES)
_COLOUR_MODES = ('RGB', 'RGBA')
_HALF, _DEEP_HALF = (1 << 8) // 2 - 1, (1 << 16) // 2 - 1


def read_object_ids(path: Path, binary: bool = False) -> NDArray[np.int64]:
    """The object id of every pixel; 0 is background.

    Args:
        path: An image. An id is a palette index or a grey value of up to 16 bits; in an RGB image
            with colours it is the colour as the number 0xRRGGBB, in one of greys the grey value.
        binary: The image is one object on a black ground: every pixel of more than half
            brightness is object 1. That is the brightness of the colour that a palette has there,
            and half of 65535 in an image of 16 bits.

    Returns:
        (H, W) ids.

    Raises:
        ConversionError: It cannot be read, or has so many values that it is no mask of ids.
    """
    pixels = _read(path, binary)
    if binary:
        return pixels.astype(np.int64)
    if pixels.ndim == 3:
        grey = (pixels == pixels[..., :1]).all()
        weights = np.array([1, 0, 0] if grey else [1 << 16, 1 << 8, 1])
        pixels = pixels.astype(np.int64) @ weights
    number = len(np.unique(pixels))
    if number > MAX_OBJECTS + 1:
        raise ConversionError(
            f'{path}: has {number} different values, so its edges are smoothed or it was saved '
            'with loss; save masks as PNG without smoothing, or give --binary where black and '
            'white stand for background and one object'
        )
    return pixels.astype(np.int64)


def _read(path: Path, binary: bool) -> NDArray:
    """(H, W) indices or (H, W, 3) colours; whether pixels are bright where masks are binary.

    Transparency is left alone.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if binary and image.mode in (*_INDEXED_MODES, *_COLOUR_MODES):
                return _is_bright(image)
            if image.mode in _COLOUR_MODES:
                return np.asarray(image)[..., :3]
            if image.mode in ('LA', 'PA'):
                return np.asarray(image)[..., 0]
            if image.mode in _INDEXED_MODES:
                return np.asarray(image.convert('L') if image.mode == '1' else image)
            mode = image.mode
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ConversionError(f'{path}: is not a readable image; replace the file') from error
    raise ConversionError(f'{path}: pixels of kind {mode} are no object ids; save it as PNG')


def _is_bright(image: Image.Image) -> NDArray[np.bool_]:
    if image.mode in _DEEP_MODES:
        return np.asarray(image) > _DEEP_HALF
    return np.asarray(image.convert('L')) > _HALF


def split_objects(ids: NDArray[np.int64]) -> dict[int, RLE]:
    """The mask of every object id but 0 in an (H, W) image of ids."""
    objects = [int(i) for i in np.unique(ids) if i != 0]
    if not objects:
        return {}
    masks = np.asfortranarray((ids[..., None] == np.array(objects)).astype(np.uint8))
    return dict(zip(objects, mask_utils.encode(masks), strict=True))
