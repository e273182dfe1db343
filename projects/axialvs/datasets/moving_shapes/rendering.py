"""Render a scene to exact visible masks and anti-aliased images."""

from dataclasses import dataclass

import cv2
import numpy as np

from axialvs.datasets.moving_shapes.scene import Scene, Shape
from axialvs.datasets.moving_shapes.silhouettes import OUTLINES
from axialvs.datasets.moving_shapes.textures import paint

_SUPERSAMPLING = 4
_SHIFT_BITS = 4


@dataclass
class Patch:
    """Coverage of an object in one frame, within its bounding box clipped to the image."""

    x: int
    y: int
    coverage: np.ndarray
    """(h, w) float32, the fraction of each pixel covered by the whole silhouette."""


def rasterize(shape: Shape, name: str, frame: int, size: tuple[int, int]) -> Patch | None:
    """Compute the coverage of an object in a frame, or None if it is outside the image."""
    cos, sin = np.cos(shape.angles[frame]), np.sin(shape.angles[frame])
    turn = np.array([[cos, -sin], [sin, cos]])
    points = shape.radii[frame] * OUTLINES[name] @ turn.T + shape.centers[frame]
    low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int), size)
    if (high <= low).any():
        return None
    width, height = high - low
    # cv2 has pixel centers at integers: subtract half a fine pixel.
    fine = ((points - low) * _SUPERSAMPLING - 0.5) * 2**_SHIFT_BITS
    canvas = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
    cv2.fillPoly(canvas, [np.round(fine).astype(np.int32)], 255, shift=_SHIFT_BITS)
    small = cv2.resize(canvas, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    return Patch(int(low[0]), int(low[1]), small.astype(np.float32) / 255)


def rasterize_scene(scene: Scene) -> list[list[Patch | None]]:
    """Compute the coverage of all objects in all frames, indexed [object][frame]."""
    level = scene.level
    return [
        [rasterize(s, level.classes[s.label], t, level.size) for t in range(level.num_frames)]
        for s in scene.shapes
    ]


def visible_masks(scene: Scene, patches: list[list[Patch | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the visible masks of all objects.

    Returns:
        masks (M, L, H, W) bool, all False if fewer than `min_visible_pixels` are visible;
        in_image (M, L) bool, whether at least as many pixels of the whole silhouette, visible or
        occluded, are inside the image.
    """
    (width, height), least = scene.level.size, scene.level.min_visible_pixels
    count, num_frames = len(scene.shapes), scene.level.num_frames
    owner = np.full((num_frames, height, width), -1, np.int16)
    in_image = np.zeros((count, num_frames), bool)
    for index in back_to_front(scene):
        for frame, patch in enumerate(patches[index]):
            if patch is None:
                continue
            solid = patch.coverage >= 0.5
            in_image[index, frame] = solid.sum() >= least
            window = _window(owner[frame], patch)
            window[solid] = index
    masks = owner[None] == np.arange(count)[:, None, None, None]
    masks &= (masks.sum(axis=(2, 3)) >= least)[:, :, None, None]
    return masks, in_image


def back_to_front(scene: Scene) -> list[int]:
    """Return the indices of the scene's objects from back to front."""
    return sorted(range(len(scene.shapes)), key=lambda index: -scene.shapes[index].depth)


def _window(image: np.ndarray, patch: Patch) -> np.ndarray:
    height, width = patch.coverage.shape
    return image[patch.y : patch.y + height, patch.x : patch.x + width]


def visible_stuff(scene: Scene, patches: list[list[Patch | None]]) -> np.ndarray:
    """Stuff class of each pixel, (L, H, W) int16; -1 for objects and for unlabeled background."""
    frames = []
    for frame in range(scene.level.num_frames):
        stuff = _camera_view(scene, scene.stuff, frame, cv2.INTER_NEAREST)
        for of_object in patches:
            patch = of_object[frame]
            if patch is not None:
                _window(stuff, patch)[patch.coverage >= 0.5] = -1
        frames.append(stuff)
    return np.stack(frames)


def _camera_view(scene: Scene, canvas: np.ndarray, frame: int, interpolation: int) -> np.ndarray:
    shift = np.array([[1, 0, scene.camera[frame, 0]], [0, 1, scene.camera[frame, 1]]], np.float32)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        canvas, shift, scene.level.size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def render_frame(scene: Scene, patches: list[list[Patch | None]], frame: int) -> np.ndarray:
    """Render one frame, (H, W, 3) uint8 RGB."""
    image = _camera_view(scene, scene.background, frame, cv2.INTER_LINEAR)
    for index in back_to_front(scene):
        patch = patches[index][frame]
        if patch is None:
            continue
        window, cover = _window(image, patch), patch.coverage[..., None]
        window += cover * (_paint_patch(scene.shapes[index], patch, frame) - window)
    return (image * 255 + 0.5).astype(np.uint8)


def _paint_patch(shape: Shape, patch: Patch, frame: int) -> np.ndarray:
    """Compute the colors (h, w, 3) of an object at the pixels of a patch."""
    height, width = patch.coverage.shape
    # Python floats keep the arrays in single precision; numpy's scalars would not.
    scale = float(1 / shape.radii[frame])
    cos = float(np.cos(shape.angles[frame])) * scale
    sin = float(np.sin(shape.angles[frame])) * scale
    center_x, center_y = shape.centers[frame].tolist()
    x = (np.arange(width, dtype=np.float32) + (patch.x + 0.5 - center_x))[None, :]
    y = (np.arange(height, dtype=np.float32) + (patch.y + 0.5 - center_y))[:, None]
    return paint(shape.look, cos * x + sin * y, cos * y - sin * x)
