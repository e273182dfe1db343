"""Detect ids in mask images that are not objects: backgrounds, and lines around objects."""

from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

_BORDER_SHARE = 0.75  # minimum fraction of the frame border covered by a background
_LINE_SIDE = 9  # pixels; PASCAL VOC's "do not care" lines are about 5 wide
_THICK_SHARE = 0.1  # maximum fraction of line pixels in wider places, as between two objects
_OUTLINE_SHARE = 0.8  # minimum fraction of the outlines of other objects covered by a line


class IdShapes:
    """Count the masks of a video in which an id has the shape of a background or a line."""

    def __init__(self) -> None:
        self._num_masks = self._num_with_several = 0
        self._backgrounds: Counter[int] = Counter()
        self._lines: Counter[int] = Counter()

    def add(self, ids: NDArray[np.int64]) -> None:
        """Add an (H, W) mask with 0 for the background."""
        self._num_masks += 1
        border = np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]])
        values, counts = np.unique(border, return_counts=True)
        most = int(counts.argmax())
        if values[most] != 0 and counts[most] >= _BORDER_SHARE * border.size:
            self._backgrounds[int(values[most])] += 1
        if np.count_nonzero(np.unique(ids)) > 1:
            self._num_with_several += 1
            self._lines.update(_find_lines(ids))

    def backgrounds(self) -> list[int]:
        """Return the ids that cover the border of most masks."""
        return [i for i, number in self._backgrounds.items() if 2 * number > self._num_masks]

    def lines(self) -> list[int]:
        """Return the ids that are lines around all others, in most masks with several ids."""
        most = self._num_with_several / 2
        apart = self.backgrounds()
        return [i for i, number in self._lines.items() if number > most and i not in apart]


def _find_lines(ids: NDArray[np.int64]) -> list[int]:
    pixels = ids.astype(np.float32)  # exact up to 24 bits
    square = np.ones((_LINE_SIDE, _LINE_SIDE), np.uint8)
    is_thick = cv2.erode(pixels, square) == cv2.dilate(pixels, square)
    # All pairs of different neighboring ids, in both orders.
    sides = [(ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:])]
    pairs = [(a[a != b], b[a != b]) for a, b in sides]
    here = np.concatenate([x for a, b in pairs for x in (a, b)])
    beside = np.concatenate([x for a, b in pairs for x in (b, a)])
    lines = []
    for value in np.unique(ids[ids != 0]).tolist():
        is_outline = (here != 0) & (here != value)
        if (
            is_thick[ids == value].mean() <= _THICK_SHARE
            and (beside[is_outline] == value).mean() >= _OUTLINE_SHARE
        ):
            lines.append(value)
    return lines
