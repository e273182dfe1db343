"""The pixel values of VIPSeg's panomasks: category and instance in one number."""

import os

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.panoptic import VOID
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.utils.images import open_image

NUM_CATEGORIES = 124
_INSTANCES_PER_CATEGORY = 100
MISLABELED = 200
"""An instance of category 1, which is stuff: a known error of the dataset, read as void."""


def read_values(path: str | os.PathLike[str]) -> NDArray[np.int64]:
    """Read a PNG of `panomasks` as (H, W) values; void is 0. Errors as in `read_raw_values`."""
    return void_removed(read_raw_values(path))


def read_raw_values(path: str | os.PathLike[str]) -> NDArray[np.int64]:
    """Read a PNG of `panomasks` as unmodified (H, W) values.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not readable, or not an image of one channel.
    """
    try:
        with open_image(path, AnnotationError) as image:
            values = np.asarray(image).astype(np.int64)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such mask') from None
    if values.ndim != 2:
        raise AnnotationError(
            f'{path}: has colors, but images of panomasks have one channel; panomasksRGB belongs '
            'to the JSON file of the 720P layout.'
        )
    return values


def void_removed(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace all void values by 0."""
    return np.where(values == MISLABELED, VOID, values)


def category_of_value(value: int) -> int | None:
    """Return the category id of a pixel value, None for void."""
    if value in (VOID, MISLABELED):
        return None
    return (value if value <= NUM_CATEGORIES else value // _INSTANCES_PER_CATEGORY) - 1
