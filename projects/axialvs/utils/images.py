"""Write images."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from axialvs.utils.files import write_atomically


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
