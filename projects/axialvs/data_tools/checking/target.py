"""What to check: a file by itself, or the data of a config."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import path as osp
from pathlib import Path
from typing import Any

from axialvs.utils.config_files import find_config
from axialvs.utils.errors import AxialVSError

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True, slots=True)
class Target:
    """An annotation file and how it is used.

    Attributes:
        ann_file: the file.
        images: folder that file names are relative to, or None to skip images.
        masks: folder of panoptic PNGs, or None.
        classes: as datasets take them; None for the file's own categories.
        num_frames: frames of a sample, or None if it does not matter.
        allow_unlisted: whether class list and file may differ.
        synonyms: as `CocoClips` takes them.
        needs_annotations: whether it is trained on.
        num_classes: of the model's head, or None.
        source: where the values come from, for the report.
    """

    ann_file: str
    images: str | None = None
    masks: str | None = None
    classes: str | Sequence[str] | None = None
    num_frames: int | None = None
    allow_unlisted: bool = False
    synonyms: Mapping[str, str | Sequence[str]] | None = None
    needs_annotations: bool = False
    num_classes: int | None = None
    source: str = ''


def targets_of_config(
    config: str | Path, split: str = 'train', options: Mapping[str, Any] | None = None
) -> list[Target]:
    """Return the annotation files that a config trains on, or tests with.

    Args:
        config: a config, as `find_config` takes it.
        split: one of `SPLITS`.
        options: settings that replace those of the config.

    Raises:
        FileNotFoundError: if there is no such config.
        AxialVSError: if the config has no such data.
    """
    from mmengine.config import Config  # imports torch, which files alone do not need

    settings = Config.fromfile(find_config(config))
    settings.merge_from_dict(dict(options or {}))
    loader = settings.get(f'{split}_dataloader')
    if loader is None:
        raise AxialVSError(f'{config}: the config has no {split}_dataloader.')
    head = (settings.get('model') or {}).get('panoptic_head') or {}
    counts = [head.get(f'num_{kind}_classes') for kind in ('things', 'stuff')]
    num_classes = None if counts == [None, None] else sum(count or 0 for count in counts)
    return [_target(dataset, split, str(config), num_classes) for dataset in _parts(loader.dataset)]


def _parts(dataset: Any) -> Iterator[Any]:
    """Yield the datasets with a file in a dataset that may wrap or concatenate others."""
    inner = dataset.get('datasets') or ([dataset.dataset] if 'dataset' in dataset else [])
    if not inner:
        yield dataset
    for part in inner:
        yield from _parts(part)


def _target(dataset: Any, split: str, config: str, num_classes: int | None) -> Target:
    if not dataset.get('ann_file'):
        raise AxialVSError(f'{config}: {split}_dataloader: a dataset has no ann_file.')
    root = dataset.get('data_root') or ''
    prefix = dataset.get('data_prefix') or {}
    masks = prefix.get('mask_path')
    train = split == 'train'
    return Target(
        osp.join(root, dataset.ann_file),
        osp.join(root, prefix.get('img_path') or ''),
        masks and osp.join(root, masks),
        dataset.get('classes'),
        (dataset.get('num_frames') if train else None) or dataset.get('clip_length'),
        dataset.get('allow_unlisted_categories', False),
        dataset.get('synonyms'),
        train,
        num_classes,
        config,
    )
