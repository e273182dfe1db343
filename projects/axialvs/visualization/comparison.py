"""Sheets that compare input frames, predicted tracks and ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from axialvs.visualization.overlay import draw_tracks, scaled_masks
from axialvs.visualization.text import in_a_row, text_bar


@dataclass(frozen=True)
class FrameTracks:
    """The tracks of one frame.

    Attributes:
        masks: (n, H, W) bool.
        ids: (n,) track ids.
        labels: (n,) indices of classes.
        scores: (n,), or None for ground truth.
    """

    masks: NDArray[np.bool_]
    ids: Sequence[int]
    labels: Sequence[int]
    scores: Sequence[float] | None = None


def comparison_sheet(
    title: str,
    frames: Sequence[NDArray[np.uint8]],
    frame_names: Sequence[str],
    rows: Sequence[tuple[str, Sequence[FrameTracks]]],
    class_names: Sequence[str],
    height: int,
) -> NDArray[np.uint8]:
    """Draw the frames in a row, and one row per set of tracks below.

    Args:
        title: heading of the sheet.
        frames: T frames (H, W, 3) uint8 RGB.
        frame_names: captions of the frames.
        rows: caption of each row, and the tracks of its T frames.
        class_names: names of the classes.
        height: height of a frame in the sheet, pixels.

    Returns:
        uint8 RGB (rows, columns, 3).
    """
    size = max(1, round(height * frames[0].shape[1] / frames[0].shape[0])), height
    images = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    named = in_a_row([text_bar(name, size[0]) for name in frame_names])
    columns = named.shape[1]
    parts = [text_bar(title, columns), named, in_a_row(images)]
    for name, tracks in rows:
        drawn = [
            _drawn(image, of_frame, class_names)
            for image, of_frame in zip(images, tracks, strict=True)
        ]
        parts += [text_bar(name, columns), in_a_row(drawn)]
    return np.concatenate(parts)


def _drawn(
    image: NDArray[np.uint8], tracks: FrameTracks, class_names: Sequence[str]
) -> NDArray[np.uint8]:
    size = image.shape[1::-1]
    masks = scaled_masks(tracks.masks.view(np.uint8), size)
    return draw_tracks(image, masks, tracks.ids, tracks.labels, tracks.scores, class_names)
