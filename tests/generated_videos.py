"""Small generated videos on disk, and the configs of tests pointed at them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmengine import Config

from axialvs.datasets.moving_shapes import generate_video, get_level
from axialvs.datasets.moving_shapes.writer import write_split

SIZE = (64, 40)  # (width, height): the height is padded


def write_videos(
    folder: Path, lengths: Sequence[int], seed: int = 0, num_objects: tuple[int, int] = (1, 3)
) -> Path:
    """Write one split of videos of the given lengths, in the official layout."""
    # As easy as possible, with the classes of the tiny models.
    level = replace(
        get_level('easy', size=SIZE), classes=get_level('demo').classes, num_objects=num_objects
    )
    videos = (
        generate_video(level, seed, index, size=SIZE, num_frames=length)
        for index, length in enumerate(lengths)
    )
    write_split(folder, videos, level, {'description': 'for a test'})
    return folder


def frame_folders(split: Path) -> list[Path]:
    """Return the folders of a split's videos, in order."""
    return sorted((split / 'JPEGImages').iterdir())


def point_at(config: Config, train: Path | None = None, test: Path | None = None) -> None:
    """Point a config's loaders at these splits, without workers."""
    for name, split in (('train', train), ('val', test), ('test', test)):
        if split is None:
            continue
        loader = config[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root='',
            ann_file=str(split / 'instances.json'),
            data_prefix=dict(img_path=str(split / 'JPEGImages')),
        )
        if name != 'train':
            config[f'{name}_evaluator'].ann_file = str(split / 'instances.json')
