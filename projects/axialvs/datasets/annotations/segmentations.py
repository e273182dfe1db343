"""Checks of an instance's masks per frame: COCO RLE, compressed or not, polygons, or null."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from axialvs.datasets.annotations.schema import JsonRecord, is_number, shown
from axialvs.utils.rle import RLEError, areas_of_counts, areas_of_strings

Segmentation = dict[str, Any] | list[list[float]]

_MIN_POLYGON_NUMBERS = 6  # three points


class CheckedMasks(NamedTuple):
    """Result of `check_segmentations` for the L frames of an instance.

    Attributes:
        entries: L segmentations as in the file; None if it is broken.
        visible: (L,) bool. False if the entry is None, or an RLE without a pixel. Polygons are not
            rasterised and count as visible.
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
    """Check the masks of an instance, without decoding them.

    Args:
        record: the instance's record, which raises or collects the errors.
        entries: one per frame: RLE, polygons or None.
        height: of the video, in pixels.
        width: of the video, in pixels.
        field: name of an entry in messages, with a place for the frame.

    Raises:
        AnnotationError: an entry is of another kind, has another size than the video, or does not
            decode.
    """
    visible = np.zeros(len(entries), dtype=bool)
    broken: list[int] = []
    strings: dict[int, str] = {}
    lists: dict[int, list[int]] = {}
    for frame, entry in enumerate(entries):
        name = field.format(frame)
        if isinstance(entry, list):
            visible[frame] = _check_polygons(record, entry, height, width, name)
        elif isinstance(entry, dict):
            counts = _check_rle(record, entry, height, width, name)
            if isinstance(counts, str):
                strings[frame] = counts
            elif counts is not None:
                lists[frame] = counts
            else:
                broken.append(frame)
            continue
        elif entry is not None:
            problem = f'{shown(entry)} is neither an RLE, nor polygons, nor null'
            record.fail(name, problem, 'mask-broken')
        if entry is not None and not visible[frame]:
            broken.append(frame)
    for counts_of_frames, areas_of in ((strings, areas_of_strings), (lists, areas_of_counts)):
        while counts_of_frames:
            frames = list(counts_of_frames)
            try:
                areas = areas_of(list(counts_of_frames.values()), height * width)
                visible[frames] = areas > 0
                break
            except RLEError as error:
                frame = frames[error.position]
                record.fail(f'{field.format(frame)}.counts', error.reason, 'mask-broken')
                broken.append(frame)
                del counts_of_frames[frame]
    kept = [None if frame in broken else entry for frame, entry in enumerate(entries)]
    return CheckedMasks(tuple(kept), visible, tuple(sorted(broken)))


def _check_rle(
    record: JsonRecord, entry: dict[str, Any], height: int, width: int, name: str
) -> str | list[int] | None:
    """Return the counts of an RLE if its keys, types and size are right."""
    missing = [key for key in ('size', 'counts') if key not in entry]
    if missing:
        record.fail(f'{name}.{missing[0]}', 'is missing', 'mask-broken')
        return None
    size, counts = entry['size'], entry['counts']
    if not isinstance(size, list) or [type(s) for s in size] != [int, int]:
        record.fail(f'{name}.size', f'{shown(size)} is not [height, width]', 'mask-broken')
    elif size != [height, width]:
        problem = f'{size} where the video has [height, width] = [{height}, {width}]'
        record.fail(f'{name}.size', problem, 'mask-size')
    elif not isinstance(counts, str | list):
        problem = f'{shown(counts)} is neither a text nor a list'
        record.fail(f'{name}.counts', problem, 'mask-broken')
    else:
        return counts
    return None


def _check_polygons(
    record: JsonRecord, polygons: list[Any], height: int, width: int, name: str
) -> bool:
    if not polygons:
        problem = 'the list of polygons is empty; an absent object is null'
        record.fail(name, problem, 'mask-broken')
        return False
    valid = True
    for index, polygon in enumerate(polygons):
        problem = _polygon_problem(polygon, height, width)
        if problem:
            record.fail(f'{name}[{index}]', f'{shown(polygon)} {problem}', 'polygon-broken')
            valid = False
    return valid


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
    # Points may lie a little outside. Far outside, rasterising takes any amount of memory.
    for numbers, size in ((polygon[::2], width), (polygon[1::2], height)):
        if min(numbers) < -size or max(numbers) > 2 * size:
            return f'lies far outside of the frame, (height, width) = ({height}, {width})'
    return ''


def to_rle(entry: Segmentation, height: int, width: int) -> dict[str, Any]:
    """Return a checked segmentation as COCO's compressed RLE: `size`, and `counts` as bytes."""
    if isinstance(entry, list):
        return mask_utils.merge(mask_utils.frPyObjects(entry, height, width))
    if isinstance(entry['counts'], list):
        return mask_utils.frPyObjects(entry, height, width)
    return {'size': entry['size'], 'counts': entry['counts'].encode('ascii')}
