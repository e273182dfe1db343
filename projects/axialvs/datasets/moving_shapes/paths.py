"""Paths of objects: interpolation of the key positions of an event."""

import numpy as np

from axialvs.datasets.moving_shapes.levels import Level

Keys = list[tuple[float, np.ndarray]]
"""Key positions of a path: (time in frames, (x, y) in pixels), in order of time."""

_STEP_FRAMES = (7.0, 13.0)
_TURN = 0.7
_CROSSING_HALF_WINDOW = 10.0
_CROSSING_SEPARATION = (1.2, 1.5)
_CROSSING_MAX_ANGLE = 0.6


def interpolate(keys: Keys, num_frames: int) -> np.ndarray:
    """Interpolate key positions by cubic Hermite splines with finite-difference slopes.

    Returns:
        Positions (L, 2) in pixels, constant before the first and after the last key.
    """
    times = np.array([time for time, _ in keys])
    points = np.stack([point for _, point in keys])
    frames = np.clip(np.arange(num_frames), times[0], times[-1])
    if len(keys) == 1:
        return np.repeat(points, num_frames, axis=0)
    slopes = np.gradient(points, times, axis=0)
    left = np.clip(np.searchsorted(times, frames, side='right') - 1, 0, len(keys) - 2)
    span = (times[left + 1] - times[left])[:, None]
    s = (frames - times[left])[:, None] / span
    return (
        (1 + 2 * s) * (1 - s) ** 2 * points[left]
        + s * (1 - s) ** 2 * span * slopes[left]
        + s**2 * (3 - 2 * s) * points[left + 1]
        + s**2 * (s - 1) * span * slopes[left + 1]
    )


def _inside(point: np.ndarray, margin: float, level: Level) -> np.ndarray:
    """Reflect a point at the borders of the image, less a margin."""
    low, high = np.full(2, margin), np.array(level.size) - margin
    point = np.where(point < low, 2 * low - point, point)
    point = np.where(point > high, 2 * high - point, point)
    return np.clip(point, low, high)


def _wander(
    start: Keys, until: float, radius: float, level: Level, rng: np.random.Generator
) -> Keys:
    """Extend `start` by random steps to the time `until`, which may be in the past."""
    time, point = start[-1]
    direction = rng.uniform(0, 2 * np.pi)
    if len(start) > 1:
        direction = np.arctan2(*(point - start[-2][1])[::-1])
    keys, sign = [], np.sign(until - time)
    while sign * (until - time) > 0:
        duration = rng.uniform(*_STEP_FRAMES)
        direction += rng.normal(0, _TURN)
        length = rng.uniform(*level.speed) * min(level.size) * duration
        step = length * np.array([np.cos(direction), np.sin(direction)])
        moved = _inside(point + step, 0.7 * radius, level)
        direction = np.arctan2(*(moved - point)[::-1])
        time, point = time + sign * duration, moved
        keys.append((time, point))
    return keys


def extend(keys: Keys, radius: float, level: Level, rng: np.random.Generator) -> Keys:
    """Add random walks before the first and after the last key, to cover the whole video."""
    before = _wander(keys[::-1], 0.0, radius, level, rng)
    after = _wander(keys, level.num_frames - 1.0, radius, level, rng)
    return before[::-1] + keys + after


def crossing(
    radii: tuple[float, float],
    shares: tuple[float, float],
    max_offset: float,
    level: Level,
    rng: np.random.Generator,
) -> tuple[Keys, Keys]:
    """Draw two paths that cross near the middle of the video.

    Args:
        radii: outer radii of the two objects in pixels.
        shares: fraction of the relative motion of each object; they sum up to 1.
        max_offset: maximum distance between the paths, in units of the smaller radius.
    """
    size, num_frames = np.array(level.size), level.num_frames
    half = min(_CROSSING_HALF_WINDOW, 0.42 * (num_frames - 1))
    middle = rng.uniform(half, num_frames - 1 - half)
    meeting = size * rng.uniform(0.35, 0.65, size=2)
    angle = rng.uniform(-_CROSSING_MAX_ANGLE, _CROSSING_MAX_ANGLE) + np.pi * rng.integers(2)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    offset = across * rng.uniform(-max_offset, max_offset) * min(radii)
    reach = along * rng.uniform(*_CROSSING_SEPARATION) * sum(radii)
    steps = (-1.0, 0.0, 1.0)
    first = [(middle + s * half, meeting + s * shares[0] * reach + offset / 2) for s in steps]
    second = [(middle + s * half, meeting - s * shares[1] * reach - offset / 2) for s in steps]
    return first, second


def leave_and_return(radius: float, level: Level, rng: np.random.Generator) -> Keys:
    """Draw a path that leaves the image on one side and later returns on the same side."""
    size, num_frames = np.array(level.size), level.num_frames
    duration = min(0.7 * (num_frames - 1), rng.uniform(15, 22))
    start = rng.uniform(0, num_frames - 1 - duration)
    side = rng.integers(4)
    axis, far = side % 2, side // 2
    inside = size * rng.uniform(0.25, 0.75, size=2)
    inside[axis] = (size[axis] - 1.2 * radius) if far else 1.2 * radius
    outside = inside.copy()
    outside[axis] = (size[axis] + 1.3 * radius) if far else -1.3 * radius
    back = inside.copy()
    drift = rng.uniform(-1.5, 1.5) * radius
    back[1 - axis] = np.clip(back[1 - axis] + drift, radius, size[1 - axis] - radius)
    away = outside + back - inside
    times = start + duration * np.array([0.0, 0.38, 0.62, 1.0])
    return list(zip(times.tolist(), [inside, outside, away, back], strict=True))


def start_points(
    radius: float, taken: list[np.ndarray], level: Level, rng: np.random.Generator
) -> Keys:
    """Draw a start position: the candidate farthest from the other paths."""
    size = np.array(level.size)
    candidates = rng.uniform(radius, np.maximum(size - radius, radius + 1), size=(12, 2))
    if not taken:
        return [(0.0, candidates[0])]
    distances = np.linalg.norm(candidates[:, None] - np.stack(taken)[None, :, 0], axis=2)
    return [(0.0, candidates[distances.min(axis=1).argmax()])]
