"""Annotation files to check, with the settings of a config if any."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import path as osp
from pathlib import Path
from typing import Any

from axialvs.utils.config_files import read_config
from axialvs.utils.errors import AxialVSError

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True, slots=True)
class Target:
    """An annotation file and the settings to check it with.

    Attributes:
        ann_file: path of the annotation file.
        images: folder that file names are relative to, or None to skip images.
        masks: folder of panoptic PNGs, or None.
        classes: class list as in datasets; None for the categories of the file.
        num_frames: number of frames per clip, or None to skip the check.
        allow_unlisted: whether class list and file may differ.
        synonyms: synonyms of class names, see `CocoClips`.
        needs_annotations: whether the file is used for training.
        num_classes: number of classes of the model head, or None.
        source: config of these settings, for the report.
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
    """Return the annotation files of a config for training or testing.

    Args:
        config: a path or name accepted by `find_config`.
        split: one of `SPLITS`.
        options: settings that override the config.

    Raises:
        FileNotFoundError: if the config does not exist.
        AxialVSError: if the config has no such data.
    """
    settings = read_config(config, options)
    loader = settings.get(f'{split}_dataloader')
    if loader is None:
        raise AxialVSError(f'{config}: the config has no {split}_dataloader.')
    head = (settings.get('model') or {}).get('panoptic_head') or {}
    counts = [head.get(f'num_{kind}_classes') for kind in ('things', 'stuff')]
    num_classes = None if counts == [None, None] else sum(count or 0 for count in counts)
    return [_target(dataset, split, str(config), num_classes) for dataset in _parts(loader.dataset)]


def _parts(dataset: Any) -> Iterator[Any]:
    """Yield the innermost datasets of a dataset that may wrap or concatenate others."""
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
