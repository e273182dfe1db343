"""Colors and textures of objects and background."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from axialvs.datasets.moving_shapes.levels import Level

_MIN_CONTRAST = 0.32  # root mean square over the color channels
_BACKGROUND_CELLS = (4, 16)
_FINE_SHARE = 0.4
_CAMERA_SWAY = 0.02
_CAMERA_FRAMES = (20.0, 60.0)


@dataclass(frozen=True)
class Look:
    """Two colors (RGB in 0..1) mixed by a pattern in object coordinates."""

    pattern: str
    colors: np.ndarray
    """(2, 3)"""
    frequency: float
    phase: float


def _soft_step(wave: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + 2.0 * wave, 0, 1)


def _stripes(u: np.ndarray, v: np.ndarray, look: Look) -> np.ndarray:
    del v
    return _soft_step(np.sin(np.pi * look.frequency * u + look.phase))


def _dots(u: np.ndarray, v: np.ndarray, look: Look) -> np.ndarray:
    turn = np.pi * look.frequency
    return _soft_step(np.cos(turn * u + look.phase) * np.cos(turn * v) - 0.3)


def _gradient(u: np.ndarray, v: np.ndarray, look: Look) -> np.ndarray:
    del v, look
    return np.clip(0.5 + 0.5 * u, 0, 1)


def _plain(u: np.ndarray, v: np.ndarray, look: Look) -> np.ndarray:
    del v, look
    return np.zeros_like(u)


PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, Look], np.ndarray]] = {
    'plain': _plain,
    'stripes': _stripes,
    'dots': _dots,
    'gradient': _gradient,
}


def paint(look: Look, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Compute the colors at points of an object.

    Args:
        u: (h, w) first coordinate along the object's axis, in units of its radius.
        v: (h, w) second coordinate.

    Returns:
        (h, w, 3) float RGB in 0..1.
    """
    mix = PATTERNS[look.pattern](u, v, look)[..., None]
    return look.colors[0] + mix * (look.colors[1] - look.colors[0])


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    pixel = np.array([[[hue * 360.0, saturation, value]]], dtype=np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]


def random_look(hue: float, backdrop: np.ndarray, rng: np.random.Generator) -> Look:
    """Draw an appearance whose two colors contrast with the background's colors (n, 3).

    The given hue (0..1) is only changed if it is too close to that of the background.
    """
    colors: list[np.ndarray] = []
    while len(colors) < 2:
        color = hsv((hue + rng.normal(0, 0.06)) % 1.0, rng.uniform(0.5, 1), rng.uniform(0.25, 1))
        if np.linalg.norm(color - backdrop, axis=1).min() / np.sqrt(3) > _MIN_CONTRAST:
            colors.append(color)
        else:
            hue = rng.uniform()
    return Look(
        pattern=str(rng.choice(list(PATTERNS))),
        colors=np.stack(colors),
        frequency=float(rng.uniform(1.5, 2.6)),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def smooth_noise(cells: int, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Generate noise (height, width, 3) of unit variance with about `cells` bumps per column."""
    grid = rng.normal(size=(cells, max(2, round(cells * width / height)), 3)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def random_background(
    level: Level, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate a smooth canvas, the camera's path over it, and its mean color.

    Returns:
        canvas (H', W', 3) float32 RGB in 0..1, camera (L, 2) corner positions in pixels, mean (3,).
    """
    width, height = level.size
    frames = np.arange(level.num_frames)[:, None]
    heading = rng.uniform(0, 2 * np.pi)
    drift = level.camera_speed * min(level.size) * rng.uniform(0.5, 1.5)
    turns = frames / rng.uniform(*_CAMERA_FRAMES, size=2) + rng.uniform(size=2)
    sway = _CAMERA_SWAY * min(level.size) * np.sin(2 * np.pi * turns)
    camera = frames * drift * np.array([np.cos(heading), np.sin(heading)]) + sway
    camera -= camera.min(axis=0)
    extra = np.ceil(camera.max(axis=0)).astype(int) + 2
    shape = int(width + extra[0]), int(height + extra[1])
    mean = hsv(rng.uniform(), rng.uniform(0, 0.35), rng.uniform(0.2, 0.85))
    coarse, fine = (smooth_noise(cells, *shape, rng) for cells in _BACKGROUND_CELLS)
    canvas = mean + level.background_contrast * (coarse + _FINE_SHARE * fine)
    return np.clip(canvas, 0, 1).astype(np.float32), camera, mean
