"""Writing images."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from axialvs.utils.files import write_atomically


def write_image(path: Path, image: Image.Image, **options: Any) -> None:
    """Write an image in the format of its suffix, whole or not at all.

    Args:
        path: folders are made as needed.
        image: the image.
        **options: of `PIL.Image.Image.save`.

    Raises:
        OSError: it cannot be written; names the file.
    """
    buffer = io.BytesIO()
    image.save(buffer, Image.registered_extensions()[path.suffix.lower()], **options)
    write_atomically(path, buffer.getvalue(), sync=False)
