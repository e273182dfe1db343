"""The synthetic dataset "moving shapes", generated from a seed."""

from axialvs.datasets.moving_shapes.levels import LEVELS, Level, get_level
from axialvs.datasets.moving_shapes.video import Video, generate_video
from axialvs.datasets.moving_shapes.writer import GENERATOR_VERSION, generate_dataset

__all__ = [
    'GENERATOR_VERSION',
    'LEVELS',
    'Level',
    'Video',
    'generate_dataset',
    'generate_video',
    'get_level',
]
