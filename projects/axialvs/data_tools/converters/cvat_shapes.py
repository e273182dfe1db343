"""The shapes of CVAT's XML 1.1 as masks, and what lies between two of them."""

from xml.etree.ElementTree import Element

import numpy as np
from pycocotools import mask as mask_utils

from axialvs.data_tools.converters.labelled_video import RLE, ConversionError
from axialvs.data_tools.converters.shapes import box_polygon, ellipse_polygon, polygons_mask

# What has an area. Boxes have none that would be a mask, and are taken on request only.
MASK_SHAPES = ('polygon', 'mask', 'ellipse')
BOX = 'box'
OTHER_SHAPES = ('polyline', 'points', 'cuboid', 'skeleton')
_FEWEST_POINTS = 3
# Pixels from the frame's corner. Rasterising what lies further away breaks pycocotools.
_FARTHEST = 1e6


def shape_mask(shape: Element, width: int, height: int, where: str) -> RLE:
    """The mask of a polygon, mask, ellipse or box in a frame.

    Args:
        shape: The XML element.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
        where: The shape in words, for messages.

    Raises:
        ConversionError: An attribute is missing or wrong.
    """
    if shape.tag == 'mask':
        return _run_length_mask(shape, width, height, where)
    if shape.tag == 'polygon':
        points = _points(shape, where)
    elif shape.tag == 'ellipse':
        values = [_number(shape, name, where) for name in ('cx', 'cy', 'rx', 'ry')]
        points = ellipse_polygon(*values, _rotation(shape, where))
    else:
        points = box_polygon(*_corners(shape, where), _rotation(shape, where))
    farthest = max(points, key=abs)
    if abs(farthest) > _FARTHEST:
        raise ConversionError(
            f'{where}: a corner at {farthest:g} lies far outside of the frame of {width}x{height} '
            'pixels'
        )
    return polygons_mask([points], height, width)


def between(first: Element, last: Element, share: float, where: str) -> Element:
    """The shape at a share of the way from one to the next, on straight lines.

    CVAT's export lists every frame. Files of other tools may list keyframes only; between two
    boxes, or two polygons with the same number of points, corners move on straight lines.

    Raises:
        ConversionError: The shapes are of other kinds, or have unequal numbers of points.
    """
    shape = Element(first.tag)
    if first.tag == last.tag == BOX and not (_rotation(first, where) or _rotation(last, where)):
        corners = _mix(_corners(first, where), _corners(last, where), share)
        for name, value in zip(('xtl', 'ytl', 'xbr', 'ybr'), corners, strict=True):
            shape.set(name, str(value))
        return shape
    if first.tag == last.tag == 'polygon':
        points, others = _points(first, where), _points(last, where)
        if len(points) == len(others):
            mixed = np.reshape(_mix(points, others, share), (-1, 2))
            shape.set('points', ';'.join(f'{x},{y}' for x, y in mixed))
            return shape
    raise ConversionError(
        f'{where}: the frames up to the next keyframe are not listed, and between two shapes such '
        'as these nothing can be interpolated; export from CVAT as "CVAT for video 1.1", which '
        'lists every frame'
    )


def _mix(first: list[float], last: list[float], share: float) -> list[float]:
    return ((1 - share) * np.array(first) + share * np.array(last)).tolist()


def _points(shape: Element, where: str) -> list[float]:
    text = shape.get('points', '')
    try:
        points = [float(number) for pair in text.split(';') for number in pair.split(',')]
    except ValueError:
        points = []
    if len(points) < 2 * _FEWEST_POINTS or len(points) % 2 or not np.isfinite(points).all():
        raise ConversionError(
            f'{where}: points={text[:60]!r} is no polygon; it is x,y;x,y;x,y of three points '
            'or more'
        )
    return points


def _corners(shape: Element, where: str) -> list[float]:
    return [_number(shape, name, where) for name in ('xtl', 'ytl', 'xbr', 'ybr')]


def _rotation(shape: Element, where: str) -> float:
    return _number(shape, 'rotation', where) if shape.get('rotation') else 0.0


def _number(shape: Element, name: str, where: str) -> float:
    try:
        value = float(shape.get(name, ''))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ConversionError(f'{where}: {name}={shape.get(name)!r} is not a number')
    return value


def _run_length_mask(shape: Element, width: int, height: int, where: str) -> RLE:
    """Runs along the rows of the box left, top, width, height, background first."""
    box = [int(_number(shape, name, where)) for name in ('left', 'top', 'width', 'height')]
    left, top, box_width, box_height = box
    if min(box) < 0 or left + box_width > width or top + box_height > height:
        raise ConversionError(
            f'{where}: the box left, top, width, height = {box} leaves the frame of '
            f'{width}x{height} pixels'
        )
    try:
        runs = [int(run) for run in shape.get('rle', '').split(',')]
    except ValueError:
        runs = []
    if not runs or min(runs) < 0 or sum(runs) != box_width * box_height:
        raise ConversionError(
            f'{where}: the runs of rle cover {sum(runs)} pixels, its box has '
            f'{box_width}x{box_height}'
        )
    inside = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    mask = np.zeros((height, width), dtype=np.uint8, order='F')
    mask[top : top + box_height, left : left + box_width] = inside.reshape(box_height, box_width)
    return mask_utils.encode(mask)
