"""Write generated videos in the YouTube-VIS layout or, with stuff, in VIPSeg's."""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from axialvs.datasets.moving_shapes.images import write_frames
from axialvs.datasets.moving_shapes.levels import Level, get_level
from axialvs.datasets.moving_shapes.panoptic_writer import write_panoptic_split
from axialvs.datasets.moving_shapes.video import SPLITS, Video, generate_video
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import encode_masks, measure

GENERATOR_VERSION = '1.0'


def _annotation(masks: np.ndarray) -> dict:
    """Compute the annotation fields of one object from its masks (L, H, W)."""
    length, height, width = masks.shape
    rles = encode_masks(masks)
    measures = [(None, None) if rle is None else measure(rle) for rle in rles]
    return {
        'segmentations': rles,
        'areas': [area for area, _ in measures],
        'bboxes': [box for _, box in measures],
        'iscrowd': 0,
        'width': width,
        'height': height,
        'length': length,
    }


def _video_entry(video_id: int, name: str, video: Video) -> dict:
    length, height, width = video.frames.shape[:3]
    return {
        'id': video_id,
        'width': width,
        'height': height,
        'length': length,
        'file_names': [f'{name}/{index:05d}.jpg' for index in range(length)],
    }


def write_split(folder: Path, videos: Iterable[Video], level: Level, info: dict) -> None:
    """Write the images and `instances.json` of one split.

    Args:
        folder: the split's folder, which must not exist.
        videos: the videos, in order; one is in memory at a time.
        level: the level of the videos.
        info: content of the file's `info`.
    """
    folder.mkdir(parents=True)
    (folder / 'JPEGImages').mkdir()
    entries, annotations = [], []
    for number, video in enumerate(videos, start=1):
        name = f'video_{number:05d}'
        write_frames(folder / 'JPEGImages' / name, video.frames)
        entries.append(_video_entry(number, name, video))
        for label, masks in zip(video.labels, video.masks, strict=True):
            if not masks.any():
                continue
            ids = {
                'id': len(annotations) + 1,
                'video_id': number,
                'category_id': int(label) + 1,
            }
            annotations.append(ids | _annotation(masks))
    categories = [{'id': i, 'name': name} for i, name in enumerate(level.classes, start=1)]
    content = {
        'info': info,
        'videos': entries,
        'categories': categories,
        'annotations': annotations,
    }
    (folder / 'instances.json').write_text(json.dumps(content), encoding='utf-8')


def _check_target(out_dir: Path, overwrite: bool) -> None:
    if out_dir.is_file():
        raise FileExistsError(f'{out_dir}: is a file; give the name of a folder')
    there = {entry.name for entry in out_dir.iterdir()} if out_dir.is_dir() else set()
    if there and not overwrite:
        raise FileExistsError(
            f'{out_dir}: the folder is not empty; use --overwrite or a different folder'
        )
    if not there <= set(SPLITS):
        raise FileExistsError(
            f"{out_dir}: refusing to overwrite '{min(there - set(SPLITS))}', which is not part of "
            'a generated dataset; choose a different folder'
        )


def generate_dataset(
    out_dir: str | Path,
    level: str | Level = 'demo',
    num_train: int = 400,
    num_valid: int = 40,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    num_frames: int | None = None,
    overwrite: bool = False,
    progress: Callable[[Iterable[Video], int], Iterable[Video]] | None = None,
) -> Path:
    """Generate the dataset and write it to `out_dir/train` and `out_dir/valid`.

    All files are written to a temporary folder next to `out_dir`, which is then renamed, so a
    killed run leaves no incomplete dataset.

    Args:
        out_dir: the folder to create.
        level: a name in `LEVELS` or a custom level.
        num_train: number of training videos; a split without videos is written as well.
        num_valid: number of validation videos.
        seed: video i of a split only depends on the level, the seed and i.
        size: (width, height) in pixels, or None for the level's own.
        num_frames: length of the videos, or None for the level's own.
        overwrite: replace the generated dataset in `out_dir`.
        progress: wraps the iterator of videos, given their total number, for a progress bar.

    Returns:
        The path of the dataset.

    Raises:
        FileExistsError: if `out_dir` is not empty and `overwrite` is False, or has files that are
            not part of a generated dataset.
        ValueError: for invalid numbers; see `get_level` and `generate_video`.
    """
    out_dir, level = Path(out_dir).absolute(), get_level(level, size, num_frames)
    counts = dict(zip(SPLITS, (num_train, num_valid), strict=True))
    if min(counts.values()) < 0:
        raise AxialVSError(f'num_train {num_train} and num_valid {num_valid} must not be negative')
    _check_target(out_dir, overwrite)
    info = {
        'description': 'axialvs moving shapes',
        'level': level.name,
        'seed': seed,
        'generator_version': GENERATOR_VERSION,
        'settings': asdict(level),
    }
    write = write_panoptic_split if level.stuff else write_split
    scratch = out_dir.with_name(f'.{out_dir.name}.partial')
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for split, count in counts.items():
            videos = (generate_video(level, seed, index, split) for index in range(count))
            watched = progress(videos, count) if progress else videos
            write(scratch / split, watched, level, info | {'split': split})
        if out_dir.exists():
            shutil.rmtree(out_dir)
        scratch.rename(out_dir)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return out_dir
