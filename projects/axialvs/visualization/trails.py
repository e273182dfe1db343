"""Fading lines through the past positions of tracks."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(n, 2): x and y, oldest first; NaN where the track was not visible."""

_SUBPIXEL_BITS = 4
_HIDDEN = (np.nan, np.nan)
_MAX_OPACITY = 230  # of 255, at the newest end


class Trails:
    """Store the past positions of the tracks of a video.

    A trail restarts if the center of a track jumps by more than the size of the track, because the
    mask has switched to a different object.

    Args:
        length: number of frames to store.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._points: dict[int, deque[tuple[float, float]]] = {}

    def add(self, ids: Iterable[int], masks: NDArray[np.bool_]) -> list[Points]:
        """Add a frame.

        Args:
            ids: (n,) track ids.
            masks: (n, H, W).

        Returns:
            The trail of each of these tracks.
        """
        seen = dict(zip(map(int, ids), masks, strict=True))
        for track in seen:
            self._points.setdefault(track, deque(maxlen=self._length))
        for track, points in list(self._points.items()):
            position, size = _measured(seen[track]) if track in seen else (_HIDDEN, 0)
            last = next((x for x in reversed(points) if x != _HIDDEN), position)
            if math.dist(position, last) > size:
                points.clear()
            points.append(position)
            if np.isnan(points).all():
                del self._points[track]  # bounds memory
        empty = np.empty((0, 2))
        return [np.array(self._points.get(track, empty)) for track in seen]


def _measured(mask: NDArray[np.bool_]) -> tuple[tuple[float, float], float]:
    """Compute the centroid of a mask (H, W), and the diagonal of its box."""
    pixels = mask.astype(np.uint8, copy=False)
    moments = cv2.moments(pixels, binaryImage=True)
    area = moments['m00']
    if not area:
        return _HIDDEN, 0
    centroid = moments['m10'] / area, moments['m01'] / area
    return centroid, math.hypot(*cv2.boundingRect(pixels)[2:])


def draw_trail(
    image: NDArray[np.uint8], points: Points, color: Sequence[int], thickness: int
) -> None:
    """Draw a line that fades toward its oldest point, in place.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: points of the trail.
        color: RGB.
        thickness: pixels.
    """
    visible = points[~np.isnan(points).any(1)]
    if len(visible) < 2:
        return
    height, width = image.shape[:2]
    left, top = np.maximum(visible.min(0).astype(int) - thickness - 1, 0)
    right, bottom = np.minimum(visible.max(0).astype(int) + thickness + 2, (width, height))
    window = image[top:bottom, left:right]
    opacity = np.zeros(window.shape[:2], dtype=np.uint8)
    fixed = (points - (left, top)) * 2**_SUBPIXEL_BITS
    for newest, (start, end) in enumerate(pairwise(fixed), start=1):
        if not np.isnan((start, end)).any():
            cv2.line(
                opacity,
                start.round().astype(int).tolist(),
                end.round().astype(int).tolist(),
                _MAX_OPACITY * newest // (len(points) - 1),
                thickness,
                cv2.LINE_AA,
                _SUBPIXEL_BITS,
            )
    share = opacity[..., None] / np.float32(255)
    window[:] = np.rint(window + share * (np.array(color, dtype=np.float32) - window))
