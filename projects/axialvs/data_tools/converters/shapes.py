"""Masks of the shapes that annotation tools draw: polygons, boxes, ellipses."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from axialvs.data_tools.converters.labelled_video import RLE

_ELLIPSE_POINTS = 72


def polygons_mask(polygons: Sequence[Sequence[float]], height: int, width: int) -> RLE:
    """The union of polygons `x, y, x, y, ...`, in pixels, as COCO rasterises them."""
    return mask_utils.merge(mask_utils.frPyObjects([list(p) for p in polygons], height, width))


def box_polygon(
    left: float, top: float, right: float, bottom: float, degrees: float = 0.0
) -> list[float]:
    """The corners of a box, turned clockwise about its middle."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)
    return _turned(corners, degrees)


def ellipse_polygon(
    x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0
) -> list[float]:
    """Points on an ellipse, turned clockwise about its middle."""
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
    points = np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1)
    return _turned(points, degrees, (x, y))


def _turned(
    points: NDArray[np.float64], degrees: float, middle: tuple[float, float] | None = None
) -> list[float]:
    """Clockwise as it is seen, where y points down."""
    centre = points.mean(0) if middle is None else np.array(middle)
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((points - centre) @ rotation + centre).reshape(-1).tolist()
