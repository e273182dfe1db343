"""Generate a video with ground truth from (level, seed, split, index)."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from axialvs.datasets.moving_shapes.camouflage import camouflaged_frames
from axialvs.datasets.moving_shapes.levels import Level, get_level
from axialvs.datasets.moving_shapes.rendering import (
    rasterize_scene,
    render_frame,
    visible_masks,
    visible_stuff,
)
from axialvs.datasets.moving_shapes.scene import Scene, plan_scene
from axialvs.utils.errors import AxialVSError

SPLITS = ('train', 'valid')
_MAX_ATTEMPTS = 500
_MIN_VISIBLE_FRAMES = 3


@dataclass
class Video:
    """A generated video. M objects, L frames; every object is visible in at least one frame."""

    frames: np.ndarray
    """(L, H, W, 3) uint8 RGB."""
    masks: np.ndarray
    """(M, L, H, W) bool, visible mask of each object."""
    labels: np.ndarray
    """(M,) int64, indices into the level's classes."""
    in_image: np.ndarray
    """(M, L) bool, whether the object is inside the image, visible or occluded."""
    stuff: np.ndarray | None = None
    """(L, H, W) int16 indices into the level's stuff classes, -1 for objects and void."""


def _shows_promised_events(scene: Scene, masks: np.ndarray, in_image: np.ndarray) -> bool:
    visible = masks.any(axis=(2, 3))
    least = min(_MIN_VISIBLE_FRAMES, scene.level.num_frames)
    if (visible.sum(axis=1) < least).any():
        return False
    pair, hidden, returning = scene.crossing_pair, scene.hidden, scene.returning
    if hidden is not None and not fully_occluded(visible[hidden], in_image[hidden]):
        return False
    if returning is not None and not re_enters(visible[returning], in_image[returning]):
        return False
    return pair is None or crosses(masks[pair[0]], masks[pair[1]])


def generate_video(
    level: str | Level,
    seed: int,
    index: int,
    split: str = 'train',
    size: tuple[int, int] | None = None,
    num_frames: int | None = None,
) -> Video:
    """Generate one video, which only depends on the arguments.

    Scenes are drawn until the masks of one show the guaranteed events of the level.

    Args:
        level: a name in `LEVELS` or a custom level.
        seed: seed of the dataset, 0 or more.
        index: index of the video, 0 or more.
        split: 'train' or 'valid', which never share a scene.
        size: (width, height) in pixels, or None for the level's own.
        num_frames: length of the video, or None for the level's own.

    Raises:
        ValueError: for an unknown level or split, a negative seed or index, or a level whose
            events cannot be made.
    """
    level = get_level(level, size, num_frames)
    if split not in SPLITS:
        raise AxialVSError(f"split '{split}' is unknown; choose one of {', '.join(SPLITS)}")
    if seed < 0 or index < 0:
        raise AxialVSError(f'seed {seed} and index {index} must not be negative')
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    if level.block_size:
        contrast = rng.uniform(0, level.max_contrast) if split == 'train' else 0.0
        frames, masks = camouflaged_frames(level, contrast, rng)
        return Video(frames, masks, np.zeros(len(masks), np.int64), masks.any(axis=(2, 3)))
    for _ in range(_MAX_ATTEMPTS):
        scene = plan_scene(level, rng)
        patches = rasterize_scene(scene)
        masks, in_image = visible_masks(scene, patches)
        if _shows_promised_events(scene, masks, in_image):
            break
    else:
        raise AxialVSError(
            f"level '{level.name}' at size {level.size} with {level.num_frames} frames: no scene "
            f'with the guaranteed events in {_MAX_ATTEMPTS} attempts; use more frames'
        )
    frames = np.stack([render_frame(scene, patches, t) for t in range(level.num_frames)])
    labels = np.array([shape.label for shape in scene.shapes], dtype=np.int64)
    stuff = visible_stuff(scene, patches) if level.stuff else None
    return Video(frames, masks, labels, in_image, stuff)


def _centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _touch(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two masks (H, W) are 8-connected."""
    grown = cv2.dilate(first.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return bool((grown & second).any())


def crosses(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two objects cross.

    They cross if they are apart in a frame, touch in a later frame, and are then apart again, with
    the vector from one to the other rotated by more than 90 degrees.

    Args:
        first: (L, H, W) bool, visible mask of one object.
        second: (L, H, W) bool, visible mask of the other.
    """
    before, met = None, False
    for one, two in zip(first, second, strict=True):
        if not one.any() or not two.any():
            continue
        if _touch(one, two):
            met = True
            continue
        vector = _centroid(two) - _centroid(one)
        if met and before is not None and float(vector @ before) < 0:
            return True
        before, met = vector, False
    return False


def _gaps(visible: np.ndarray) -> list[np.ndarray]:
    """Find runs of frames without the object between frames with it. visible: (L,) bool."""
    seen = np.flatnonzero(visible)
    return [np.arange(a + 1, b) for a, b in pairwise(seen) if b > a + 1]


def fully_occluded(visible: np.ndarray, in_image: np.ndarray) -> bool:
    """Return whether an object is occluded inside the image and reappears.

    Args:
        visible: (L,) bool, whether enough of it is visible.
        in_image: (L,) bool, whether enough of it, visible or occluded, is inside the image.
    """
    return any(in_image[gap].all() for gap in _gaps(visible))


def re_enters(visible: np.ndarray, in_image: np.ndarray) -> bool:
    """Return whether an object is visible, leaves the image, and is visible again."""
    return any((~in_image[gap]).any() for gap in _gaps(visible))
