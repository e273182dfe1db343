"""Difficulty levels of the generated dataset."""

from dataclasses import dataclass, replace

from axialvs.utils.errors import AxialVSError

MIN_SIDE = 32
"""Smallest width or height, in pixels, in which shapes are distinguishable."""


@dataclass(frozen=True)
class Level:
    """Appearance and guaranteed events of the videos of a level.

    Lengths marked "fraction" are relative to the image's shorter side, so a level looks the same at
    any size. Times are in frames, angles in radians.
    """

    name: str
    classes: tuple[str, ...] = ('circle', 'square', 'triangle', 'star', 'cross')
    num_objects: tuple[int, int] = (3, 5)
    """Minimum and maximum number of objects per video."""
    num_frames: int = 24
    min_frames: int = 1
    """Minimum length of a video with the guaranteed events."""
    size: tuple[int, int] = (160, 96)
    """(width, height) in pixels."""
    radius: tuple[float, float] = (0.12, 0.2)
    """Range of an object's mean radius, fraction."""
    occluder_radius: tuple[float, float] = (0.23, 0.25)
    """Range of the radius of an occluding object, fraction."""
    occluded_radius: tuple[float, float] = (0.105, 0.12)
    """Range of the radius of an occluded object, fraction."""
    speed: tuple[float, float] = (0.012, 0.03)
    """Range of an object's speed, fraction per frame."""
    max_spin: float = 0.06
    """Maximum rotation, radians per frame."""
    max_scale_change: float = 0.15
    """Maximum relative change of an object's size, in either direction."""
    camera_speed: float = 0.006
    """Mean speed of the background, fraction per frame."""
    background_contrast: float = 0.05
    """Standard deviation of the background's texture, in units of full brightness."""
    leave_probability: float = 0.2
    """Probability that an object without another event leaves the image and returns."""
    look_alike_probability: float = 0.2
    """Probability that such an object copies class, colors and texture of a different one."""
    crossing: bool = True
    """Each video has two objects that meet and swap places."""
    look_alikes_cross: bool = False
    """The two crossing objects look alike."""
    full_occlusion: bool = False
    """Each video has an object that is fully occluded by another one and reappears."""
    re_entry: bool = False
    """Each video has an object that leaves the image and returns."""
    stuff: tuple[str, ...] = ()
    """Stuff classes, names in `STUFF`; the background then consists of bands of them."""
    block_size: int = 0
    """Side in pixels of the randomly colored blocks of camouflaged objects and background; 0 for
    drawn shapes. Camouflage uses the first six of the settings above."""
    max_contrast: float = 0.0
    """Training videos draw their contrast of camouflaged objects from 0 to this; others have 0."""
    min_visible_pixels: int = 16
    """An object with fewer visible pixels in a frame is not visible there."""


LEVELS = {
    level.name: level
    for level in (
        Level(
            name='easy',
            classes=('circle', 'square', 'triangle'),
            num_objects=(1, 3),
            num_frames=16,
            radius=(0.16, 0.24),
            background_contrast=0.03,
            leave_probability=0.0,
            look_alike_probability=0.0,
            crossing=False,
        ),
        Level(name='demo', min_frames=6),
        Level(
            name='hard',
            num_objects=(5, 6),
            num_frames=48,
            min_frames=24,
            radius=(0.11, 0.17),
            max_scale_change=0.25,
            camera_speed=0.012,
            background_contrast=0.08,
            leave_probability=0.3,
            look_alike_probability=0.4,
            look_alikes_cross=True,
            full_occlusion=True,
            re_entry=True,
        ),
        Level(
            name='panoptic',
            min_frames=6,
            num_objects=(2, 4),
            stuff=('sky', 'grass', 'sand', 'water'),
        ),
        Level(
            name='camouflage',
            classes=('object',),
            num_objects=(1, 2),
            num_frames=12,
            block_size=8,
            max_contrast=1.0,
        ),
    )
}


def get_level(
    level: str | Level, size: tuple[int, int] | None = None, num_frames: int | None = None
) -> Level:
    """Look up a level and override its size or length.

    Args:
        level: a name in `LEVELS` or a custom level.
        size: (width, height) in pixels, or None for the level's own.
        num_frames: length of a video, or None for the level's own.

    Raises:
        ValueError: for an unknown name, a size too small for objects, or a length too short for the
            level's guaranteed events.
    """
    if isinstance(level, str):
        if level not in LEVELS:
            raise AxialVSError(f"level '{level}' is unknown; choose one of {', '.join(LEVELS)}")
        level = LEVELS[level]
    changes = {'size': size, 'num_frames': num_frames}
    level = replace(level, **{k: v for k, v in changes.items() if v is not None})
    if len(level.size) != 2 or min(level.size) < MIN_SIDE:
        raise AxialVSError(
            f'size {level.size} is too small; give width and height of at least {MIN_SIDE} pixels'
        )
    if level.num_frames < level.min_frames:
        raise AxialVSError(
            f"num_frames {level.num_frames} is too short for level '{level.name}', whose events "
            f"need {level.min_frames} frames; use more frames or level 'easy'"
        )
    return level
