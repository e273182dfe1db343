"""Convert shapes of CVAT's XML 1.1 to masks, and interpolate between two shapes."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from axialvs.data_tools.converters.labeled_video import RLE, ConversionError
from axialvs.utils.rle import compress, encode_mask

# Shapes with an area. Boxes are only used as masks on request.
MASK_SHAPES = ('polygon', 'mask', 'ellipse')
BOX = 'box'
OTHER_SHAPES = ('polyline', 'points', 'cuboid', 'skeleton')
_FEWEST_POINTS = 3
_ELLIPSE_POINTS = 72
# Maximum coordinate in pixels. Rasterizing larger coordinates crashes pycocotools.
_FARTHEST = 1e6


def box_polygon(
    left: float, top: float, right: float, bottom: float, degrees: float = 0.0
) -> list[float]:
    """Return the corners of a box, rotated clockwise about its center."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)
    return _rotate(corners, degrees, corners.mean(0))


def ellipse_polygon(
    x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0
) -> list[float]:
    """Return points on an ellipse, rotated clockwise about its center."""
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
    points = np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1)
    return _rotate(points, degrees, np.array([x, y]))


def _rotate(
    points: NDArray[np.float64], degrees: float, center: NDArray[np.float64]
) -> list[float]:
    """Rotate points clockwise as seen in the image, where y points down."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((points - center) @ rotation + center).reshape(-1).tolist()


def shape_mask(shape: Element, width: int, height: int, where: str) -> RLE:
    """Convert a polygon, mask, ellipse or box to a mask of the frame.

    Args:
        shape: the XML element.
        width: width of the frame, in pixels.
        height: height of the frame, in pixels.
        where: description of the shape, for error messages.

    Raises:
        ConversionError: if an attribute is missing or invalid.
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
            f'{where}: a corner at {farthest:g} is far outside the frame of {width}x{height} pixels'
        )
    return compress([points], height, width)


def interpolate(first: Element, last: Element, fraction: float, where: str) -> Element:
    """Interpolate linearly between two boxes, or two polygons with the same number of points.

    CVAT exports all frames, but files of other tools may only contain keyframes.

    Raises:
        ConversionError: if the shapes are of other kinds, or have different numbers of points.
    """
    shape = Element(first.tag)
    if first.tag == last.tag == BOX and not (_rotation(first, where) or _rotation(last, where)):
        corners = _mix(_corners(first, where), _corners(last, where), fraction)
        for name, value in zip(('xtl', 'ytl', 'xbr', 'ybr'), corners, strict=True):
            shape.set(name, str(value))
        return shape
    if first.tag == last.tag == 'polygon':
        points, others = _points(first, where), _points(last, where)
        if len(points) == len(others):
            mixed = np.reshape(_mix(points, others, fraction), (-1, 2))
            shape.set('points', ';'.join(f'{x},{y}' for x, y in mixed))
            return shape
    raise ConversionError(
        f'{where}: frames before the next keyframe are missing, and these two shapes cannot be '
        'interpolated; export from CVAT as "CVAT for video 1.1", which contains all frames'
    )


def _mix(first: Sequence[float], last: Sequence[float], fraction: float) -> list[float]:
    return ((1 - fraction) * np.array(first) + fraction * np.array(last)).tolist()


def _points(shape: Element, where: str) -> list[float]:
    text = shape.get('points', '')
    try:
        points = [float(number) for pair in text.split(';') for number in pair.split(',')]
    except ValueError:
        points = []
    if len(points) < 2 * _FEWEST_POINTS or len(points) % 2 or not np.isfinite(points).all():
        raise ConversionError(
            f'{where}: points={text[:60]!r} is not a polygon; use x,y;x,y;x,y with at least three '
            'points'
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
    if not abs(value) <= _FARTHEST:  # also NaN
        raise ConversionError(
            f'{where}: {name}={shape.get(name)!r} is not a number up to {_FARTHEST:g}'
        )
    return value


def _run_length_mask(shape: Element, width: int, height: int, where: str) -> RLE:
    """Decode row-major run lengths in the box left, top, width, height, background first."""
    box = [_number(shape, name, where) for name in ('left', 'top', 'width', 'height')]
    left, top, box_width, box_height = map(int, box)
    outside = min(box) < 0 or left + box_width > width or top + box_height > height
    if outside or any(number % 1 for number in box):
        raise ConversionError(
            f'{where}: the box left, top, width, height = {box} exceeds the frame of '
            f'{width}x{height} pixels, or is not made of integers'
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
    inside = np.repeat(np.arange(len(runs)) % 2, runs).astype(bool)
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + box_height, left : left + box_width] = inside.reshape(box_height, box_width)
    return encode_mask(mask)
