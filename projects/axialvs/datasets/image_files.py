"""Image files on disk: lists in natural order, sizes from their headers, truncated files."""

import os
from collections.abc import Sequence
from pathlib import Path

from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import IMAGE_SUFFIXES, natural_key
from axialvs.utils.images import open_image

_ORIENTATION = 0x0112  # EXIF
_QUARTER_TURNS = range(5, 9)
_JPEG_START, _JPEG_SCAN, _JPEG_END = b'\xff\xd8', b'\xff\xda', b'\xff\xd9'


class ImageFileError(AxialVSError):
    """An image file that cannot be used."""


def list_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, in natural order, without hidden ones."""
    return sorted(
        (entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != '.'),
        key=natural_key,
    )


def list_images(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the images in a folder in natural order of their names, without hidden files."""
    files = (f for f in folder.iterdir() if f.suffix.lower() in suffixes and f.name[0] != '.')
    return sorted((file for file in files if file.is_file()), key=lambda f: natural_key(f.name))


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return the (width, height) of an image as decoded by OpenCV, which applies EXIF rotation.

    Only the header is read.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageFileError: if it is not an image, or the size in its header is implausible.
    """
    try:
        with open_image(path, ImageFileError, verify=False) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _QUARTER_TURNS
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such image') from None
    return (height, width) if turned else (width, height)


def common_size(images: Sequence[Path], video: str) -> tuple[int, int]:
    """Return the common (width, height) of all frames of a video.

    Raises:
        ImageFileError: if two frames differ, or one is not an image.
    """
    size = image_size(images[0])
    for image in images[1:]:
        other = image_size(image)
        if other != size:
            raise ImageFileError(
                f'{image}: has {other[0]}x{other[1]} pixels, but the first frame of video {video} '
                f'has {size[0]}x{size[1]}; all frames of a video need the same size'
            )
    return size


def is_truncated_jpeg(path: str) -> bool:
    """Return whether a file is a truncated JPEG image, which OpenCV silently pads with gray."""
    with open(path, 'rb') as file:
        if file.read(len(_JPEG_START)) != _JPEG_START:
            return False
        file.seek(-len(_JPEG_END), os.SEEK_END)
        if file.read() == _JPEG_END:
            return False
        file.seek(0)  # other data may follow the end marker
        content = file.read()
    return content.rfind(_JPEG_END) < content.rfind(_JPEG_SCAN)
