"""Draw tracks onto a frame: masks, contours and labels."""

import colorsys
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from axialvs.utils.errors import AxialVSError
from axialvs.visualization.labels import LabelStyle, draw_labels

_GOLDEN_RATIO = 0.618034
_FIRST_HUE = 0.58
_TONES = ((0.85, 1.0), (0.55, 1.0), (0.95, 0.72))
MASK_OPACITY = 0.45


def track_colour(track_id: int) -> tuple[int, int, int]:
    """Colour of a track, the same in all frames and videos, RGB in 0..255.

    Hues of successive ids are a golden angle apart, which keeps neighbouring ids distinct;
    saturation and brightness change every turn.
    """
    saturation, value = _TONES[track_id // 8 % len(_TONES)]
    hue = (_FIRST_HUE + _GOLDEN_RATIO * track_id) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def plain_text(text: str) -> str:
    """Text in the characters that OpenCV can draw: accents are removed, others become '?'."""
    letters = unicodedata.normalize('NFKD', text)
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return ''.join(letter if ' ' <= letter <= '~' else '?' for letter in kept)


def _tint(image: np.ndarray, mask: np.ndarray, colour: Sequence[int], thickness: int) -> tuple:
    """Colour a mask (H, W) in an image, in place. Returns its box (x, y, width, height)."""
    x, y, width, height = box = cv2.boundingRect(mask)
    if not width:
        return box
    inside = mask[y : y + height, x : x + width]
    window = image[y : y + height, x : x + width]
    layer = np.empty_like(window)
    layer[:] = colour
    blend = cv2.addWeighted(window, 1 - MASK_OPACITY, layer, MASK_OPACITY, 0)
    cv2.copyTo(blend, inside, window)
    contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(window, contours, -1, colour, thickness, cv2.LINE_AA)
    return box


def draw_tracks(
    image: np.ndarray,
    masks: np.ndarray,
    ids: Sequence[int] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    scores: Sequence[float] | np.ndarray | None,
    class_names: Sequence[str],
) -> np.ndarray:
    """Draw the tracks of one frame.

    Args:
        image: (H, W, 3) uint8 RGB; not modified.
        masks: (n, H, W) bool; empty ones are skipped.
        ids: (n,) track ids, which give the colours.
        labels: (n,) indices into `class_names`.
        scores: (n,) in 0..1, or None for ground truth, which has none.
        class_names: of the classes.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        AxialVSError: if the shapes of the arrays do not match.
    """
    count = len(masks)
    num_scores = count if scores is None else len(scores)
    if not len(ids) == len(labels) == num_scores == count:
        raise AxialVSError(
            f'{count} masks, {len(ids)} ids, {len(labels)} labels and {num_scores} scores: '
            'their numbers must be equal'
        )
    if count and masks.shape[1:] != image.shape[:2]:
        raise AxialVSError(
            f'masks have (height, width) {masks.shape[1:]}, the image {image.shape[:2]}; '
            'resize them to the size of the image'
        )
    canvas = np.ascontiguousarray(image).copy()
    style = LabelStyle.for_image(*image.shape[:2])
    texts, boxes, colours = [], [], []
    # Large masks first, so that they do not cover small ones.
    sizes = [np.count_nonzero(mask) for mask in masks]
    for index in sorted(range(count), key=lambda i: -sizes[i]):
        if not sizes[index]:
            continue
        colour = track_colour(int(ids[index]))
        mask = np.ascontiguousarray(masks[index]).astype(bool, copy=False).view(np.uint8)
        boxes.append(_tint(canvas, mask, colour, style.line))
        label = int(labels[index])  # a head may have more classes than the data
        name = plain_text(class_names[label]) if label < len(class_names) else f'class {label}'
        score = '' if scores is None else f'{float(scores[index]):.2f}'
        texts.append((f'{name} {int(ids[index])}', score))
        colours.append(colour)
    draw_labels(canvas, boxes, texts, colours, style)
    return canvas
