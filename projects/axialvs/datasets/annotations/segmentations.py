"""Checks of an instance's masks per frame: COCO RLE, compressed or not, polygons, or null."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import JsonRecord, is_number, shown
from axialvs.utils.rle import RLEError, read_mask

Segmentation = dict[str, Any] | list[list[float]]

_MIN_POLYGON_NUMBERS = 6  # three points


class CheckedMasks(NamedTuple):
    """Result of `check_segmentations` for the L frames of an instance.

    Attributes:
        entries: L segmentations as in the file; None if it is broken.
        visible: (L,) bool. False if the entry is None, or an RLE without a pixel. Polygons are not
            rasterized and count as visible.
        broken: frames whose entry is broken; only if errors are collected.
    """

    entries: tuple[Segmentation | None, ...]
    visible: NDArray[np.bool_]
    broken: tuple[int, ...]


def check_segmentations(
    record: JsonRecord,
    entries: Sequence[Any],
    height: int,
    width: int,
    field: str = 'segmentations[{}]',
) -> CheckedMasks:
    """Check the masks of an instance without decoding them.

    Args:
        record: the instance's record, which raises or collects the errors.
        entries: one per frame: RLE, polygons or None.
        height: of the video, in pixels.
        width: of the video, in pixels.
        field: name of an entry in messages, with a placeholder for the frame.

    Raises:
        AnnotationError: if an entry has a wrong type, a different size than the video, or cannot be
            decoded.
    """
    visible = np.zeros(len(entries), dtype=bool)
    broken: list[int] = []
    for frame, entry in enumerate(entries):
        name = field.format(frame)
        area: int | None = 0
        if isinstance(entry, list):
            area = _check_polygons(record, entry, height, width, name)
        elif isinstance(entry, dict):
            area = _check_rle(record, entry, height, width, name)
        elif entry is not None:
            area = None
            problem = f'{shown(entry)} is neither an RLE, nor polygons, nor null'
            record.fail(name, problem, 'mask-broken')
        if area is None:
            broken.append(frame)
        visible[frame] = bool(area)
    kept = [None if frame in broken else entry for frame, entry in enumerate(entries)]
    return CheckedMasks(tuple(kept), visible, tuple(broken))


def _check_rle(
    record: JsonRecord, entry: dict[str, Any], height: int, width: int, name: str
) -> int | None:
    """Return the area of an RLE, None if it is broken."""
    missing = [key for key in ('size', 'counts') if key not in entry]
    if missing:
        record.fail(f'{name}.{missing[0]}', 'is missing', 'mask-broken')
        return None
    size, counts = entry['size'], entry['counts']
    if not isinstance(size, list) or [type(s) for s in size] != [int, int]:
        record.fail(f'{name}.size', f'{shown(size)} is not [height, width]', 'mask-broken')
    elif size != [height, width]:
        problem = f'{size}, but the video has [height, width] = [{height}, {width}]'
        record.fail(f'{name}.size', problem, 'mask-size')
    elif not isinstance(counts, str | list):
        problem = f'{shown(counts)} is neither a string nor a list'
        record.fail(f'{name}.counts', problem, 'mask-broken')
    else:
        try:
            return read_mask(entry, height, width).area()
        except RLEError as error:
            record.fail(f'{name}.counts', error.reason, 'mask-broken')
    return None


def _check_polygons(
    record: JsonRecord, polygons: list[Any], height: int, width: int, name: str
) -> int | None:
    """Return 1 for polygons, which are not rasterized; None if one is broken."""
    if not polygons:
        problem = 'the list of polygons is empty; an absent object is null'
        record.fail(name, problem, 'mask-broken')
        return None
    area: int | None = 1
    for index, polygon in enumerate(polygons):
        problem = _polygon_problem(polygon, height, width)
        if problem:
            record.fail(f'{name}[{index}]', f'{shown(polygon)} {problem}', 'polygon-broken')
            area = None
    return area


def _polygon_problem(polygon: Any, height: int, width: int) -> str:
    if not isinstance(polygon, list):
        return 'is not a list of numbers'
    if len(polygon) < _MIN_POLYGON_NUMBERS or len(polygon) % 2:
        return (
            f'has {len(polygon)} numbers; a polygon is x, y, x, y, ... of three points or more. '
            'Remove it from the list and keep the other polygons'
        )
    if not all(map(is_number, polygon)):
        return 'is not made of finite numbers'
    # Points may be slightly outside. Rasterizing points far outside takes unbounded memory.
    for numbers, size in ((polygon[::2], width), (polygon[1::2], height)):
        if min(numbers) < -size or max(numbers) > 2 * size:
            return f'lies far outside of the frame, (height, width) = ({height}, {width})'
    return ''
