"""Heat maps of axial-trajectory attention over the frames of a clip."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from axialvs.visualization.labels import LabelStyle
from axialvs.visualization.text import PAPER, in_a_row, text_bar

_MAX_OPACITY = 0.75
_POINT, _RING = (230, 20, 20), (255, 255, 255)


class Point(NamedTuple):
    """The point whose attention is shown."""

    frame: int
    x: float
    y: float


def draw_heat(image: NDArray[np.uint8], heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Tint an image by a heat map: transparent where it is 0, opaque where it is 1.

    Args:
        image: (H, W, 3) uint8 RGB.
        heat: (h, w) in 0..1, of any resolution.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    size = image.shape[1::-1]
    smooth = cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap((255 * smooth).astype(np.uint8), cv2.COLORMAP_HOT)[..., ::-1]
    opacity = _MAX_OPACITY * smooth[..., None]
    return ((1 - opacity) * image + opacity * colors).round().astype(np.uint8)


def draw_point(image: NDArray[np.uint8], point: Point) -> None:
    """Mark a point in an image, in place."""
    radius = 3 * LabelStyle.for_image(*image.shape[:2]).line
    center = round(point.x), round(point.y)
    cv2.circle(image, center, radius + 2, _RING, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, center, radius, _POINT, cv2.FILLED, cv2.LINE_AA)


def heat_frames(
    images: Sequence[NDArray[np.uint8]], heat: NDArray[np.floating], point: Point
) -> list[NDArray[np.uint8]]:
    """Draw the heat (T, h, w) of each frame, normalized by the maximum, and the point."""
    relative = heat / heat.max()
    frames = [draw_heat(image, x) for image, x in zip(images, relative, strict=True)]
    draw_point(frames[point.frame], point)
    return frames


def trajectory_sheet(
    images: Sequence[NDArray[np.uint8]],
    height: NDArray[np.floating],
    width: NDArray[np.floating],
    heat: NDArray[np.floating],
    point: Point,
    title: str,
    frame_names: Sequence[str],
    frame_height: int,
) -> NDArray[np.uint8]:
    """Draw rows of frames, attention along the height and width, and their product.

    Args:
        images: T frames (H, W, 3) uint8 RGB.
        height: (T, h).
        width: (T, w).
        heat: (T, h, w).
        point: in pixels of the frames.
        title: heading of the sheet.
        frame_names: captions of the frames.
        frame_height: height of a frame in the sheet, pixels.
    """
    scale = frame_height / images[0].shape[0]
    size = max(1, round(scale * images[0].shape[1])), frame_height
    scaled = [cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in images]
    point = Point(point.frame, scale * (point.x + 0.5), scale * (point.y + 0.5))
    plain = [image.copy() for image in scaled]
    draw_point(plain[point.frame], point)
    rows = [in_a_row([text_bar(name, size[0]) for name in frame_names]), in_a_row(plain)]
    num_rows, num_columns = heat.shape[1:]
    parts = (
        ('along the height', height[..., None].repeat(num_columns, axis=2)),
        ('along the width', width[:, None].repeat(num_rows, axis=1)),
        ('product: the trajectory', heat),
    )
    total = rows[0].shape[1]
    for name, maps in parts:
        rows += [text_bar(name, total), in_a_row(heat_frames(scaled, maps, point))]
    sheet = np.concatenate([text_bar(title, total), *rows])
    return np.pad(sheet, ((4, 4), (4, 4), (0, 0)), constant_values=PAPER)
