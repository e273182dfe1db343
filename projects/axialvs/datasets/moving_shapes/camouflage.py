"""Objects with the texture of the background, which are invisible in a single frame.

Background and objects consist of square blocks of independent random colors. The background is
static; objects move by one block per frame.
"""

from dataclasses import dataclass

import numpy as np

from axialvs.datasets.moving_shapes.levels import Level

STEPS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
"""How an object moves from frame to frame, in blocks."""


@dataclass
class _Patch:
    colors: np.ndarray
    """(h, w, 3) RGB in 0..1, one per block."""
    corners: np.ndarray
    """(L, 2) row and column of the first block in each frame."""


def camouflaged_frames(
    level: Level, contrast: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a video at random.

    Args:
        level: with `block_size`; `radius` is half of an object's side.
        contrast: weight of an object's plain color in the colors of its blocks, from 0 (the object
            is only visible by motion) to 1.
        rng: random generator.

    Returns:
        Frames (L, H, W, 3), uint8 RGB, and visible masks (M, L, H, W), bool.
    """
    width, height = level.size
    rows, columns = -(-height // level.block_size), -(-width // level.block_size)
    background = rng.uniform(size=(rows, columns, 3))
    count = rng.integers(level.num_objects[0], level.num_objects[1] + 1)
    patches = [_random_patch((rows, columns), contrast, level, rng) for _ in range(count)]
    blocks = np.repeat(background[None], level.num_frames, axis=0)
    owner = np.full(blocks.shape[:3], -1)
    for index, patch in enumerate(patches):
        high, wide = patch.colors.shape[:2]
        for frame, (row, column) in enumerate(patch.corners):
            window = frame, slice(row, row + high), slice(column, column + wide)
            blocks[window], owner[window] = patch.colors, index
    blocks = (blocks * 255 + 0.5).astype(np.uint8)
    masks = owner == np.arange(count)[:, None, None, None]
    frames, masks = (
        x.repeat(level.block_size, -3 + i).repeat(level.block_size, -2 + i)
        for x, i in ((blocks, 0), (masks, 1))
    )
    masks = masks[:, :, :height, :width]
    return frames[:, :height, :width], masks[masks.any(axis=(1, 2, 3))]


def _random_patch(
    grid: tuple[int, int], contrast: float, level: Level, rng: np.random.Generator
) -> _Patch:
    low, high = np.round(2 * np.array(level.radius) * min(level.size) / level.block_size)
    sides = rng.integers(max(low, 1), max(high, 1) + 1, size=2)
    colors = rng.uniform(size=(*sides, 3))
    colors += contrast * (rng.uniform(size=3) - colors)
    room = np.array(grid) - sides
    corner, step = rng.integers(room + 1), np.array(STEPS[rng.integers(len(STEPS))])
    corners = [corner]
    for _ in range(level.num_frames - 1):
        after = corners[-1] + step
        step = np.where((after < 0) | (after > room), -step, step)
        corners.append(corners[-1] + step)
    return _Patch(colors, np.stack(corners))
