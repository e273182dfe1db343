"""Stuff of panoptic videos: bands of the background, each of one class."""

from typing import NamedTuple

import numpy as np

from axialvs.datasets.moving_shapes.levels import Level
from axialvs.datasets.moving_shapes.textures import hsv, smooth_noise

_NUM_BANDS = (2, 3)
_VOID_PROBABILITY = 0.2  # of one band with the plain background and no label
_WAVE_HEIGHT = 0.06  # of the canvas
_NUM_WAVES = (0.5, 2.0)


class StuffLook(NamedTuple):
    """Color range of a class, less saturated than objects, and scale of its texture."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]
    cells: int


STUFF = {
    'sky': StuffLook((0.55, 0.62), (0.15, 0.35), (0.8, 0.95), 3),
    'grass': StuffLook((0.25, 0.36), (0.3, 0.5), (0.35, 0.55), 24),
    'sand': StuffLook((0.09, 0.14), (0.25, 0.45), (0.75, 0.9), 12),
    'water': StuffLook((0.5, 0.6), (0.35, 0.5), (0.3, 0.45), 6),
}


def paint_bands(
    canvas: np.ndarray, mean: np.ndarray, level: Level, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paint two or three bands, one above the other, on the canvas.

    Args:
        canvas: (H, W, 3) float32 RGB in 0..1, changed in place.
        mean: (3,) its mean color.
        level: gives the classes and the strength of their texture.
        rng: source of all draws.

    Returns:
        labels (H, W) int16, indices into the level's stuff classes or -1, and the mean colors of
        the bands (n, 3).
    """
    height, width = canvas.shape[:2]
    count = min(int(rng.integers(_NUM_BANDS[0], _NUM_BANDS[1] + 1)), len(level.stuff))
    classes = rng.permutation(len(level.stuff))[:count]
    if rng.uniform() < _VOID_PROBABILITY:
        classes[rng.integers(count)] = -1
    turns = 2 * np.pi * np.arange(width) / width
    rows = np.arange(height)[:, None]
    band = np.zeros((height, width), dtype=int)
    for border in range(1, count):
        middle = (border + rng.uniform(-0.25, 0.25)) / count
        wave = np.sin(rng.uniform(*_NUM_WAVES) * turns + rng.uniform(0, 2 * np.pi))
        band += rows >= (middle + _WAVE_HEIGHT * wave) * height
    colors = []
    for index, label in enumerate(classes.tolist()):
        if label < 0:
            colors.append(mean)
            continue
        look = STUFF[level.stuff[label]]
        colors.append(hsv(*(rng.uniform(*bounds) for bounds in look[:3])))
        texture = level.background_contrast * smooth_noise(look.cells, width, height, rng)
        inside = band == index
        canvas[inside] = np.clip(colors[-1] + texture[inside], 0, 1)
    return classes[band].astype(np.int16), np.stack(colors)
