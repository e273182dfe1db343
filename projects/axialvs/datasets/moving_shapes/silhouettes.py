"""Outlines of the shape classes, as polygons around the origin with about the area of a disc."""

import numpy as np

_CIRCLE_CORNERS = 48


def _star(num_points: int, outer: float, inner: float) -> np.ndarray:
    angles = np.arange(2 * num_points) * np.pi / num_points
    radii = np.where(np.arange(2 * num_points) % 2 == 0, outer, inner)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


def _regular(num_corners: int, radius: float) -> np.ndarray:
    angles = (np.arange(num_corners) + 0.5) * 2 * np.pi / num_corners
    return radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _cross(length: float, width: float) -> np.ndarray:
    corner = [(width, length), (width, width), (length, width)]
    turns = [np.array([[0, 1], [-1, 0]]), np.array([[-1, 0], [0, -1]]), np.array([[0, -1], [1, 0]])]
    points = np.array(corner)
    # Each quarter is the previous one rotated by 90 degrees.
    return np.concatenate([points] + [points @ turn.T for turn in turns])


OUTLINES: dict[str, np.ndarray] = {
    'circle': _regular(_CIRCLE_CORNERS, 1.0),
    'square': _regular(4, 1.22),
    'triangle': _regular(3, 1.42),
    'star': _star(5, 1.4, 0.62),
    'cross': _cross(1.25, 0.42),
}
"""Class name -> (corners, 2) points (x, y), in units of the object's radius."""


def outer_radius(name: str) -> float:
    """Return the distance of the farthest corner from the center, in units of the radius."""
    return float(np.linalg.norm(OUTLINES[name], axis=1).max())
