"""Text labels next to objects, inside the frame and without overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LETTER_SHARE = 0.018  # height of a capital letter, relative to the image's mean side
_MIN_LETTER, _MAX_LETTER = 6, 40  # pixels
_HERSHEY_CAPITAL = 21.0  # height of a capital letter at scale 1, pixels
_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)
_LUMA = (0.299, 0.587, 0.114)
_LUMA_OF_DARK_TEXT = 125.0
_CELLS = 6  # resolution of the search for space inside a mask


class Label(NamedTuple):
    """The text of an object."""

    box: Box  # of the object
    color: tuple[int, int, int]  # of the background, RGB
    text: str
    suffix: str = ''  # dropped if it does not fit
    mask: np.ndarray | None = None  # (H, W) uint8; the label is placed inside, where it is widest


@dataclass(frozen=True)
class LabelStyle:
    """Sizes in pixels, derived from the size of the image."""

    scale: float
    stroke: int
    padding: int
    line: int
    """Width of a mask's contour."""

    @staticmethod
    def for_image(height: int, width: int, text_scale: float = 1.0) -> 'LabelStyle':
        letter = float(np.clip(_LETTER_SHARE * np.sqrt(height * width), _MIN_LETTER, _MAX_LETTER))
        line = max(1, round(letter / 7))
        letter *= text_scale
        return LabelStyle(
            scale=letter / _HERSHEY_CAPITAL,
            stroke=max(1, round(letter / 8)),
            padding=max(1, round(letter / 4)),
            line=line,
        )


def _text_size(text: str, style: LabelStyle) -> tuple[int, int, int]:
    """Measure width, height and descent of a text."""
    (width, height), below = cv2.getTextSize(text, _FONT, style.scale, style.stroke)
    return width, height, below // 2


def _places(box: Box, width: int, height: int) -> Iterator[tuple[int, int]]:
    """List candidate corners (x, y) of an object's label, best first."""
    x, y, box_width, box_height = box
    middle = x + (box_width - width) // 2
    yield x, y - height
    yield x, y + box_height
    yield middle, y
    yield middle, y + (box_height - height) // 2
    yield middle, y + box_height - height
    yield x + box_width, y
    yield x - width, y


def _overlap(first: Box, second: Box) -> int:
    """Compute the intersection area of two boxes."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)


def place_label(box: Box, size: tuple[int, int], taken: list[Box], frame: tuple[int, int]) -> Box:
    """Place a label near an object, inside the frame, without overlap if possible.

    Args:
        box: of the object.
        size: (width, height) of the label.
        taken: boxes of the labels placed so far.
        frame: (width, height) of the image.
    """
    best, least = None, None
    for x, y in _places(box, *size):
        x = max(0, min(x, frame[0] - size[0]))
        y = max(0, min(y, frame[1] - size[1]))
        candidate = (x, y, *size)
        hidden = sum(_overlap(candidate, other) for other in taken)
        if least is None or hidden < least:
            best, least = candidate, hidden
        if not hidden:
            break
    return best


def place_inside(mask: np.ndarray, size: tuple[int, int], taken: list[Box]) -> Box | None:
    """Place a label where a mask is widest, or nowhere if it does not fit into it.

    Args:
        mask: (H, W) uint8.
        size: (width, height) of the label.
        taken: boxes of the labels placed so far.
    """
    height, width = mask.shape
    # In cells of which a label has _CELLS x _CELLS.
    columns, rows = (-(-_CELLS * x // y) for x, y in zip((width, height), size, strict=True))
    free = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST)
    for x, y, box_width, box_height in taken:
        left, right = x * columns // width, -(-(x + box_width) * columns // width)
        free[y * rows // height : -(-(y + box_height) * rows // height), left:right] = 0
    # There is no space outside of the frame either.
    distances = cv2.distanceTransform(cv2.copyMakeBorder(free, 1, 1, 1, 1, 0), cv2.DIST_C, 3)
    _, distance, _, (column, row) = cv2.minMaxLoc(distances)
    if distance < _CELLS / 2:
        return None
    x = round((column - 0.5) * width / columns - size[0] / 2)
    y = round((row - 0.5) * height / rows - size[1] / 2)
    return max(0, min(x, width - size[0])), max(0, min(y, height - size[1])), *size


def draw_labels(image: np.ndarray, labels: Sequence[Label], style: LabelStyle) -> None:
    """Draw a label for each object into an image (H, W, 3) uint8 RGB, in place.

    Labels inside masks are placed last, in the remaining space.
    """
    height, width = image.shape[:2]
    taken: list[Box] = []
    for label in sorted(labels, key=lambda label: label.mask is not None):
        words = f'{label.text} {label.suffix}'.rstrip()
        if _text_size(words, style)[0] > width // 3:
            words = label.text
        text_width, text_height, below = _text_size(words, style)
        size = text_width + 2 * style.padding, text_height + below + 2 * style.padding
        if label.mask is None:
            place = place_label(label.box, size, taken, (width, height))
        else:
            place = place_inside(label.mask, size, taken)
        if place is not None:
            taken.append(place)
            _draw_label(image, place, words, label.color, style, below)


def _draw_label(
    image: np.ndarray,
    place: Box,
    text: str,
    color: tuple[int, int, int],
    style: LabelStyle,
    below: int,
) -> None:
    x, y, width, height = place
    cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), color, cv2.FILLED)
    dark = float(np.dot(color, _LUMA)) > _LUMA_OF_DARK_TEXT
    base = x + style.padding, y + height - style.padding - below
    ink = _DARK if dark else _LIGHT
    cv2.putText(image, text, base, _FONT, style.scale, ink, style.stroke, cv2.LINE_AA)
