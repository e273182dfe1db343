"""Random scenes: objects with their appearance, size, path and depth, and the events."""

from dataclasses import dataclass

import numpy as np

from axialvs.datasets.moving_shapes.levels import Level
from axialvs.datasets.moving_shapes.paths import (
    crossing,
    extend,
    interpolate,
    leave_and_return,
    start_points,
)
from axialvs.datasets.moving_shapes.silhouettes import outer_radius
from axialvs.datasets.moving_shapes.stuff import paint_bands
from axialvs.datasets.moving_shapes.textures import Look, random_background, random_look

_HIDING_CLASSES = ('circle', 'square')
_BREATHING_FRAMES = (16.0, 40.0)
_GOLDEN_RATIO = 0.618034  # spreads any number of hues evenly


@dataclass
class Shape:
    """An object of a scene over L frames. Lengths are in pixels, angles in radians."""

    label: int
    look: Look
    centers: np.ndarray
    """(L, 2), x and y."""
    radii: np.ndarray
    """(L,)"""
    angles: np.ndarray
    """(L,)"""
    depth: float
    """Objects of smaller depth occlude those of larger depth."""


@dataclass
class Scene:
    """A planned video, and the objects of each event (indices into shapes)."""

    level: Level
    shapes: list[Shape]
    background: np.ndarray
    """Canvas larger than the image, float32 RGB in 0..1."""
    stuff: np.ndarray | None
    """(H', W') int16 stuff class of each pixel of the canvas, -1 for none."""
    camera: np.ndarray
    """(L, 2) position of the image's corner on the canvas, in pixels."""
    crossing_pair: tuple[int, int] | None
    hidden: int | None
    returning: int | None


@dataclass
class _Role:
    """Properties of an object before its path is drawn."""

    label: int
    look: Look
    radius: float
    depth: float

    def outer(self, level: Level) -> float:
        return self.radius * outer_radius(level.classes[self.label])


def _new_role(level: Level, hue: float, backdrop: np.ndarray, rng: np.random.Generator) -> _Role:
    return _Role(
        label=int(rng.integers(len(level.classes))),
        look=random_look(hue, backdrop, rng),
        radius=rng.uniform(*level.radius) * min(level.size),
        depth=rng.uniform(),
    )


def _copy_look(role: _Role, model: _Role) -> None:
    role.label, role.look = model.label, model.look


def _hiding_roles(hider: _Role, hidden: _Role, level: Level, rng: np.random.Generator) -> None:
    """Set up an occlusion: one role becomes large, compact and in front, the other small."""
    names = [name for name in _HIDING_CLASSES if name in level.classes] or [level.classes[0]]
    hider.label = level.classes.index(names[rng.integers(len(names))])
    hider.radius = rng.uniform(*level.occluder_radius) * min(level.size)
    hidden.radius = rng.uniform(*level.occluded_radius) * min(level.size)
    # Depths of others are in 0..1: nothing is in front of the occluder.
    hider.depth, hidden.depth = -1.0, 2.0


def plan_scene(level: Level, rng: np.random.Generator) -> Scene:
    """Draw a random scene; only its masks tell whether it shows the guaranteed events."""
    background, camera, mean = random_background(level, rng)
    stuff, backdrop = None, mean[None]
    if level.stuff:
        stuff, backdrop = paint_bands(background, mean, level, rng)
    count = int(rng.integers(level.num_objects[0], level.num_objects[1] + 1))
    hues = (rng.uniform() + _GOLDEN_RATIO * np.arange(count)) % 1.0
    roles = [_new_role(level, hue, backdrop, rng) for hue in hues]
    keys: list = [None] * count
    free = iter(range(count))
    pair = hidden = returning = None
    if level.crossing:
        pair = next(free), next(free)
        first, second = (roles[i] for i in pair)
        if level.look_alikes_cross:
            _copy_look(second, first)
        outer = first.outer(level), second.outer(level)
        share = rng.uniform(0.35, 0.65)
        keys[pair[0]], keys[pair[1]] = crossing(outer, (share, 1 - share), 0.5, level, rng)
    if level.full_occlusion:
        hider, hidden = next(free), next(free)
        _hiding_roles(roles[hider], roles[hidden], level, rng)
        outer = roles[hider].outer(level), roles[hidden].outer(level)
        keys[hider], keys[hidden] = crossing(outer, (0.25, 0.75), 0.1, level, rng)
    if level.re_entry:
        returning = next(free)
        keys[returning] = leave_and_return(roles[returning].outer(level), level, rng)
    centers = _paths(roles, keys, list(free), level, rng)
    shapes = [_shape(role, path, level, rng) for role, path in zip(roles, centers, strict=True)]
    return Scene(level, shapes, background, stuff, camera, pair, hidden, returning)


def _paths(
    roles: list[_Role], keys: list, others: list[int], level: Level, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw paths (L, 2) of all objects; those without an event get a random one."""
    centers: dict[int, np.ndarray] = {}
    for index, role in enumerate(roles):
        if keys[index] is not None:
            path = extend(keys[index], role.radius, level, rng)
            centers[index] = interpolate(path, level.num_frames)
    for index in others:
        role = roles[index]
        if index and rng.uniform() < level.look_alike_probability:
            _copy_look(role, roles[rng.integers(index)])
        if rng.uniform() < level.leave_probability:
            start = leave_and_return(role.outer(level), level, rng)
        else:
            start = start_points(role.radius, list(centers.values()), level, rng)
        path = extend(start, role.radius, level, rng)
        centers[index] = interpolate(path, level.num_frames)
    return [centers[index] for index in range(len(roles))]


def _shape(role: _Role, centers: np.ndarray, level: Level, rng: np.random.Generator) -> Shape:
    frames = np.arange(level.num_frames)
    swing = np.log1p(level.max_scale_change) * rng.uniform()
    period, phase = rng.uniform(*_BREATHING_FRAMES), rng.uniform(0, 2 * np.pi)
    radii = role.radius * np.exp(swing * np.sin(2 * np.pi * frames / period + phase))
    spin = rng.uniform(-level.max_spin, level.max_spin)
    angles = rng.uniform(0, 2 * np.pi) + spin * frames
    return Shape(role.label, role.look, centers, radii, angles, role.depth)
