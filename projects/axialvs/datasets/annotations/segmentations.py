"""Checks an instance's segmentations: COCO RLE, compressed or not, polygons, or null, a frame."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axialvs.datasets.annotations.schema import Record, shown
from axialvs.utils.rle import RLEError, areas_of_counts, areas_of_strings

Segmentation = dict[str, Any] | list[list[float]]
_MIN_POLYGON_NUMBERS = 6  # three points


def read_segmentations(
    entries: Sequence[Any], height: int, width: int, record: Record
) -> NDArray[np.bool_]:
    """Checks all entries and says in which frames there is something to see.

    Args:
        entries: One a frame, as in the file: RLE, polygons or None.
        height: Of the video, in pixels.
        width: Of the video, in pixels.
        record: The instance's record, for messages.

    Returns:
        (L,) bool: False where the entry is None or its mask has no pixel.

    Raises:
        AnnotationError: An entry is none of the kinds above, has another size than the video,
            or stands for no mask.
    """
    visible = np.zeros(len(entries), dtype=bool)
    strings: list[tuple[int, str]] = []
    counts: list[tuple[int, list[int]]] = []
    for frame, entry in enumerate(entries):
        if entry is None:
            continue
        field = f'segmentations[{frame}]'
        if isinstance(entry, list):
            _check_polygons(entry, height, width, field, record)
            visible[frame] = True
            continue
        runs = _counts_of(entry, height, width, field, record)
        if isinstance(runs, str):
            strings.append((frame, runs))
        else:
            counts.append((frame, runs))
    for group, areas_of in ((strings, areas_of_strings), (counts, areas_of_counts)):
        frames = [frame for frame, _ in group]
        try:
            areas = areas_of([runs for _, runs in group], height * width)
        except RLEError as error:
            field = f'segmentations[{frames[error.position]}].counts'
            raise record.error(field, error.reason, 'mask-broken') from error
        visible[frames] = areas > 0
    return visible


def _counts_of(entry: Any, height: int, width: int, field: str, record: Record) -> str | list[int]:
    """The counts of an RLE whose keys, types and size are right."""
    if not isinstance(entry, dict):
        raise record.error(
            field, f'{shown(entry)} is neither an RLE, nor polygons, nor null', 'mask-broken'
        )
    for key in ('size', 'counts'):
        if key not in entry:
            raise record.error(f'{field}.{key}', 'is missing', 'mask-broken')
    size = entry['size']
    if not isinstance(size, list) or [type(s) for s in size] != [int, int]:
        raise record.error(f'{field}.size', f'{shown(size)} is not [height, width]', 'mask-broken')
    if size != [height, width]:
        raise record.error(
            f'{field}.size',
            f'{size} where the video has [height, width] = [{height}, {width}]',
            'mask-size',
        )
    if not isinstance(entry['counts'], str | list):
        problem = f'{shown(entry["counts"])} is no text and no list'
        raise record.error(f'{field}.counts', problem, 'mask-broken')
    return entry['counts']


def _check_polygons(
    polygons: list[Any], height: int, width: int, field: str, record: Record
) -> None:
    if not polygons:
        problem = 'the list of polygons is empty; an absent object is null'
        raise record.error(field, problem, 'mask-broken')
    for index, polygon in enumerate(polygons):
        problem = _polygon_problem(polygon, height, width)
        if problem:
            raise record.error(f'{field}[{index}]', f'{shown(polygon)} {problem}', 'mask-broken')


def _polygon_problem(polygon: Any, height: int, width: int) -> str:
    if not isinstance(polygon, list):
        return 'is not a list of numbers'
    if len(polygon) < _MIN_POLYGON_NUMBERS or len(polygon) % 2:
        return f'has {len(polygon)} numbers; a polygon is x, y, x, y, ... of three points or more'
    if set(map(type, polygon)) - {int, float} or not all(map(math.isfinite, polygon)):
        return 'is not made of finite numbers'
    # Points may lie a little outside. Far outside, rasterising takes any amount of memory.
    for numbers, size in ((polygon[::2], width), (polygon[1::2], height)):
        if min(numbers) < -size or max(numbers) > 2 * size:
            return f'lies far outside of the frame, (height, width) = ({height}, {width})'
    return ''
