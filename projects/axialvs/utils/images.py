"""Open and write images."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically


@contextlib.contextmanager
def open_image(
    path: str | os.PathLike[str], error_type: type[AxialVSError], verify: bool = True
) -> Iterator[Image.Image]:
    """Open an image by Pillow; all errors of damaged files become `error_type`.

    Args:
        path: the file.
        error_type: raised if the file is damaged, also in the body of the `with` statement.
        verify: check the checksums of PNG files, which Pillow ignores when it decodes.

    Raises:
        OSError: if the file is missing or may not be read.
    """
    try:
        if verify:  # closes the image
            with Image.open(path) as image:
                image.verify()
        with Image.open(path) as image:
            yield image
    except (AxialVSError, MemoryError):
        raise
    except Exception as error:  # the parsers of Pillow can raise anything
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise error_type(f'{path}: is not a readable image ({error}); replace the file') from error


def write_image(path: Path, image: Image.Image, **options: Any) -> None:
    """Write an image atomically, in the format given by the suffix.

    Args:
        path: the file; missing folders are created.
        image: the image.
        **options: arguments of `PIL.Image.Image.save`.

    Raises:
        OSError: if it cannot be written; the message names the file.
    """
    buffer = io.BytesIO()
    image.save(buffer, Image.registered_extensions()[path.suffix.lower()], **options)
    write_atomically(path, buffer.getvalue(), sync=False)
