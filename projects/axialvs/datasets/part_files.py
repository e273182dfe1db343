"""How the files of a split data set are named: a training set of videos in two parts."""

from pathlib import Path

PARTS = ('main', 'holdout')  # to train on, to validate on


def part_file(whole: Path, part: str) -> Path:
    """The annotation file of a part, beside the file that is split."""
    return whole.with_name(f'{whole.stem}_{part}{whole.suffix}')


def whole_file(path: Path) -> Path | None:
    """The file that an annotation file is a part of, by its name; None if it is none."""
    for part in PARTS:
        stem = path.stem.removesuffix(f'_{part}')
        if stem and stem != path.stem:
            return path.with_name(f'{stem}{path.suffix}')
    return None
