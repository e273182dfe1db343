"""Lines of text and rows of images for sheets."""

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

PAPER, INK = 245, (40, 40, 40)
GAP = 4  # pixels between frames
_BAR = 24  # pixels of a line of text
_FONT_SCALE = 0.5


def plain_text(text: str) -> str:
    """Convert text to characters that OpenCV can draw: strip accents, replace others by '?'."""
    letters = unicodedata.normalize('NFKD', text)
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return ''.join(letter if ' ' <= letter <= '~' else '?' for letter in kept)


def text_bar(text: str, width: int) -> NDArray[np.uint8]:
    """Draw a line of text, cropped to the width."""
    bar = np.full((_BAR, width, 3), PAPER, np.uint8)
    base = (2, _BAR - 7)
    font = cv2.FONT_HERSHEY_SIMPLEX
    return cv2.putText(bar, plain_text(text), base, font, _FONT_SCALE, INK, 1, cv2.LINE_AA)


def in_a_row(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Join images of one height horizontally."""
    gap = np.full((images[0].shape[0], GAP, 3), PAPER, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)
