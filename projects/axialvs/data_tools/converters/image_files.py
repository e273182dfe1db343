"""Finds the frames of a video on disk and reads their sizes without decoding them."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from axialvs.data_tools.converters.labelled_video import ConversionError
from axialvs.utils.files import IMAGE_SUFFIXES, natural_key

_ORIENTATION = 0x0112
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)


def list_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, in natural order; hidden ones are left alone."""
    return sorted(
        (entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != '.'),
        key=natural_key,
    )


def list_images(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Images in a folder in natural order of their names; hidden files are left alone."""
    files = (f for f in folder.iterdir() if f.suffix.lower() in suffixes and f.name[0] != '.')
    return sorted((file for file in files if file.is_file()), key=lambda f: natural_key(f.name))


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image as it is shown: turned as its EXIF data says.

    Raises:
        FileNotFoundError: There is no such file.
        ConversionError: It is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED_BY_A_QUARTER
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such image') from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ConversionError(f'{path}: is not a readable image; replace the file') from error
    return (height, width) if turned else (width, height)


def common_size(images: Sequence[Path], video: str) -> tuple[int, int]:
    """(width, height) that all frames of a video have.

    Raises:
        ConversionError: Two frames differ, or one is no image.
    """
    size = image_size(images[0])
    for image in images[1:]:
        other = image_size(image)
        if other != size:
            raise ConversionError(
                f'{image}: has {other[0]}x{other[1]} pixels, but the first frame of video {video} '
                f'has {size[0]}x{size[1]}; bring all frames of a video to one size'
            )
    return size
