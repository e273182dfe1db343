"""What to check: a file by itself, or the data of a config."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import path as osp
from pathlib import Path
from typing import Any

from mmengine.config import Config

from axialvs.utils.config_files import find_config
from axialvs.utils.errors import AxialVSError

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True, slots=True)
class Target:
    """An annotation file and what it is used for.

    Attributes:
        ann_file: The file.
        images: Folder that its file names are relative to, or None to leave images out.
        classes: As data sets take them; None for the file's own categories.
        clip_length: Frames of a clip, or None where it does not matter.
        allow_unlisted: Whether class list and file may differ.
        synonyms: As `CocoClips` takes them.
        needs_annotations: Whether it is trained on.
        source: Where classes and clip length come from, for the report.
    """

    ann_file: str
    images: str | None = None
    classes: str | Sequence[str] | None = None
    clip_length: int | None = None
    allow_unlisted: bool = False
    synonyms: Mapping[str, str | Sequence[str]] | None = None
    needs_annotations: bool = False
    source: str = ''


def targets_of_config(
    config: str | Path, split: str = 'train', options: Mapping[str, Any] | None = None
) -> list[Target]:
    """The annotation files that a config trains on, or tests with.

    Args:
        config: A config, as `find_config` takes it.
        split: One of `SPLITS`.
        options: Settings that replace those of the config.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: The config has no such data.
    """
    settings = Config.fromfile(find_config(config))
    settings.merge_from_dict(dict(options or {}))
    loader = settings.get(f'{split}_dataloader')
    if loader is None:
        raise AxialVSError(f'{config}: the config has no {split}_dataloader.')
    return [_target(part, split, str(config)) for part in _parts(loader.dataset)]


def _parts(dataset: Any) -> Iterator[Any]:
    """The data sets that have a file, of a data set that may wrap or join others."""
    inner = dataset.get('datasets') or ([dataset.dataset] if 'dataset' in dataset else [])
    if not inner:
        yield dataset
    for part in inner:
        yield from _parts(part)


def _target(dataset: Any, split: str, config: str) -> Target:
    if not dataset.get('ann_file'):
        raise AxialVSError(f'{config}: {split}_dataloader: a data set has no ann_file.')
    root = dataset.get('data_root') or ''
    prefix = (dataset.get('data_prefix') or {}).get('img_path') or ''
    return Target(
        osp.join(root, dataset.ann_file),
        osp.join(root, prefix),
        dataset.get('classes'),
        dataset.get('clip_length'),
        dataset.get('allow_unlisted_categories', False),
        dataset.get('synonyms'),
        split == 'train',
        config,
    )
