"""Events that a level promises, found in the ground truth alone."""

from itertools import pairwise

import cv2
import numpy as np


def _centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _touch(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two masks (H, W) have pixels side by side or corner to corner."""
    grown = cv2.dilate(first.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return bool((grown & second).any())


def crosses(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two objects meet and swap places.

    They cross if they are apart in a frame, touch in one of the next frames, and are apart again
    with the vector from one to the other turned by more than a right angle.

    Args:
        first: (L, H, W) bool, visible mask of one object.
        second: (L, H, W) bool, visible mask of the other.
    """
    before, met = None, False
    for one, two in zip(first, second, strict=True):
        if not one.any() or not two.any():
            continue
        if _touch(one, two):
            met = True
            continue
        vector = _centroid(two) - _centroid(one)
        if met and before is not None and float(vector @ before) < 0:
            return True
        before, met = vector, False
    return False


def _gaps(visible: np.ndarray) -> list[np.ndarray]:
    """Run of frames without the object between two frames with it. visible: (L,) bool."""
    seen = np.flatnonzero(visible)
    return [np.arange(a + 1, b) for a, b in pairwise(seen) if b > a + 1]


def fully_occluded(visible: np.ndarray, in_image: np.ndarray) -> bool:
    """Whether an object vanishes behind others, while it stays inside the image, and reappears.

    Args:
        visible: (L,) bool, whether enough of it can be seen.
        in_image: (L,) bool, whether enough of it, seen or hidden, lies inside the image.
    """
    return any(in_image[gap].all() for gap in _gaps(visible))


def re_enters(visible: np.ndarray, in_image: np.ndarray) -> bool:
    """Whether an object is seen, leaves the image, and is seen again."""
    return any((~in_image[gap]).any() for gap in _gaps(visible))
