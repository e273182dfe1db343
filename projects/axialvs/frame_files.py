"""Names of image files that hold the frames of a video."""

import re

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts 'frame10' behind 'frame9'."""
    parts = re.split(r'(\d+)', name.lower())
    return [(0, int(p), p) if p.isdigit() else (1, 0, p) for p in parts]
