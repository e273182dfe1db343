"""Draw tracks onto a frame: things by id, stuff by class; masks, contours and labels."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from axialvs.structures import ClipResult
from axialvs.utils.errors import AxialVSError
from axialvs.visualization.labels import Box, Label, LabelStyle, draw_labels
from axialvs.visualization.text import plain_text
from axialvs.visualization.trails import Points, draw_trail

_GOLDEN_RATIO = 0.618034
_FIRST_HUE = 0.58
_TONES = ((0.85, 1.0), (0.55, 1.0), (0.95, 0.72))
_STUFF_TONES = ((0.6, 0.75), (0.55, 0.5), (0.45, 0.95))  # muted, so that things stand out
MASK_OPACITY = 0.45
STUFF_OPACITY = 0.4


def track_color(track_id: int) -> tuple[int, int, int]:
    """Return the color of a track, the same in all frames and videos, RGB in 0..255.

    Hues of successive ids are a golden angle apart, which keeps neighboring ids distinct;
    saturation and brightness change every turn.
    """
    return _hue_turn(track_id, _TONES[track_id // 8 % len(_TONES)])


def stuff_color(label: int) -> tuple[int, int, int]:
    """Return the color of a stuff class, the same in all videos, RGB in 0..255."""
    return _hue_turn(label, _STUFF_TONES[label % len(_STUFF_TONES)])


def _hue_turn(number: int, tone: tuple[float, float]) -> tuple[int, int, int]:
    hue = (_FIRST_HUE + _GOLDEN_RATIO * number) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, *tone)
    return round(255 * red), round(255 * green), round(255 * blue)


def _tint(
    image: np.ndarray, mask: np.ndarray, color: Sequence[int], opacity: float, thickness: int
) -> Box:
    """Color a mask (H, W), not empty, in an image, in place. Returns the box of its largest part.

    Args:
        thickness: of the contour, pixels; 0 for none.
    """
    x, y, width, height = cv2.boundingRect(mask)
    inside = mask[y : y + height, x : x + width]
    window = image[y : y + height, x : x + width]
    layer = np.empty_like(window)
    layer[:] = color
    cv2.copyTo(cv2.addWeighted(window, 1 - opacity, layer, opacity, 0), inside, window)
    contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if thickness:
        cv2.drawContours(window, contours, -1, color, thickness, cv2.LINE_AA)
    part_x, part_y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return x + part_x, y + part_y, width, height


@dataclass(frozen=True)
class OverlayStyle:
    """How tracks are drawn."""

    labels: Literal['id', 'class', 'none'] = 'id'
    """Text of things: class, id and score; only the class; or no text, also for stuff."""
    opacity: float = MASK_OPACITY
    """Opacity of things; stuff is fainter."""
    trail: int = 0
    """Number of past frames of the trail of each thing."""
    boxes: bool = False
    """Whether to draw boxes around things."""
    text_scale: float = 1.0
    """Scale of text and lines; larger for frames that are displayed at a smaller size."""


DEFAULT_STYLE = OverlayStyle()


def draw_tracks(
    image: np.ndarray,
    masks: np.ndarray,
    ids: Sequence[int] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    scores: Sequence[float] | np.ndarray | None,
    class_names: Sequence[str],
    is_thing: Sequence[bool] | np.ndarray | None = None,
    style: OverlayStyle = DEFAULT_STYLE,
    trails: Sequence[Points] | None = None,
) -> np.ndarray:
    """Draw the tracks of one frame.

    Things have the color of their id, a contour, and a label with id and score. Stuff has the color
    of its class, is fainter and below things, with its label where the mask is widest.

    Args:
        image: (H, W, 3) uint8 RGB; not modified.
        masks: (n, H, W) bool; empty ones are skipped.
        ids: (n,) track ids, which determine the colors.
        labels: (n,) indices into `class_names`.
        scores: (n,) in 0..1, or None for ground truth.
        class_names: names of the classes.
        is_thing: (n,) bool; by default all are things.
        style: text and opacity.
        trails: (n,) past positions, see `Trails`; drawn for things.

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
    text = LabelStyle.for_image(*image.shape[:2], style.text_scale)
    things = [True] * count if is_thing is None else list(map(bool, is_thing))
    drawn, lines = [], []
    # Stuff before things, and large masks before small ones, which they would cover.
    sizes = [np.count_nonzero(mask) for mask in masks]
    for index in sorted(range(count), key=lambda i: (things[i], -sizes[i])):
        if not sizes[index]:
            continue
        mask = np.ascontiguousarray(masks[index]).astype(bool, copy=False).view(np.uint8)
        label = int(labels[index])  # a head may have more classes than the data
        name = plain_text(class_names[label]) if label < len(class_names) else f'class {label}'
        if things[index]:
            color = track_color(int(ids[index]))
            lines.append((index, color))
            box = _tint(canvas, mask, color, style.opacity, text.line)
            if style.boxes:
                x, y, width, height = cv2.boundingRect(mask)
                corners = (x, y), (x + width - 1, y + height - 1)
                cv2.rectangle(canvas, *corners, color, text.line)
            if style.labels == 'id':
                score = '' if scores is None else f'{float(scores[index]):.2f}'
                drawn.append(Label(box, color, f'{name} {int(ids[index])}', score))
            else:
                drawn.append(Label(box, color, name))
        else:
            color = stuff_color(label)
            box = _tint(canvas, mask, color, style.opacity * STUFF_OPACITY / MASK_OPACITY, 0)
            drawn.append(Label(box, color, name, mask=mask))
    if trails is not None:
        for index, color in lines:
            draw_trail(canvas, trails[index], color, 2 * text.line)
    if style.labels != 'none':
        draw_labels(canvas, drawn, text)
    return canvas


def scaled_masks(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Masks (n, H, W) uint8 at a (width, height), bool."""
    scaled = [cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) for mask in masks]
    return np.array(scaled, dtype=bool).reshape(-1, size[1], size[0])


def draw_clip(
    clip: ClipResult, class_names: Sequence[str], style: OverlayStyle = DEFAULT_STYLE
) -> list[np.ndarray]:
    """Draw the tracks of a clip.

    Args:
        clip: from `segment_video`.
        class_names: of the model.
        style: text and opacity.

    Returns:
        T frames (H, W, 3), uint8 RGB.
    """
    tracks = clip.ids, clip.labels, clip.scores, class_names, clip.is_thing, style
    return [draw_tracks(x, clip.masks[:, t], *tracks) for t, x in enumerate(clip.images)]
