"""Convert the VIPSeg download to 720P images, panoptic PNGs and one JSON file per split."""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from axialvs.data_tools.converters.labeled_video import ConversionError
from axialvs.datasets.annotations.panomasks import (
    MISLABELED,
    category_of_value,
    read_raw_values,
    void_removed,
)
from axialvs.datasets.annotations.panoptic import (
    VOID,
    ids_to_rgb,
    read_ids,
    read_panoptic_categories,
    segments_info,
)
from axialvs.datasets.annotations.schema import AnnotationError, JsonRecord, load_json
from axialvs.datasets.image_files import list_images
from axialvs.utils.files import write_atomically
from axialvs.utils.images import open_image, write_image

_JPEG_QUALITY = 75  # as in the official conversion, which published results are based on
_MAX_NAMED = 5


class ConvertedSplit(NamedTuple):
    """Result of a conversion."""

    path: Path  # JSON file
    num_frames: int
    num_present: int  # number of frames converted by an earlier run
    mislabeled: int  # number of pixels with label 200 in the frames converted by this run


class _Frame(NamedTuple):
    image: dict[str, Any]  # its entry in `videos`
    annotation: dict[str, Any]  # its entry in `annotations`
    was_present: bool
    mislabeled: int


def check_source(root: Path, videos: Sequence[str], categories_file: Path) -> None:
    """Check that all files exist before the conversion, which can take hours.

    Args:
        root: folder with `imgs` and `panomasks`.
        videos: names of the videos.
        categories_file: path of panoVIPSeg_categories.json.

    Raises:
        FileNotFoundError: if files are missing; the message lists the first ones.
    """
    missing = [str(path) for path in (root / 'imgs', root / 'panomasks') if not path.is_dir()]
    if not categories_file.is_file():
        missing.append(f'{categories_file} (of the VIPSeg-Dataset repository)')
    for video in () if missing else videos:
        folder, masks = root / 'imgs' / video, root / 'panomasks' / video
        images = list_images(folder) if folder.is_dir() else []
        stems = {path.stem for path in masks.iterdir()} if masks.is_dir() else set()
        missing += [] if images else [f'images in {folder}']
        missing += [str(masks / f'{i.stem}.png') for i in images if i.stem not in stems]
    if missing:
        more = f' and {len(missing) - _MAX_NAMED} more' if len(missing) > _MAX_NAMED else ''
        raise FileNotFoundError(
            f'{root}: missing {", ".join(missing[:_MAX_NAMED])}{more}. Is the download complete?'
        )


def convert_split(
    root: Path,
    out: Path,
    videos: Sequence[str],
    split: str,
    categories_file: Path,
    short_side: int = 720,
    workers: int = 2,
    progress: Callable[[Iterable], Iterable] = iter,
) -> ConvertedSplit:
    """Write `images`, `panomasksRGB` and `panoptic_gt_VIPSeg_{split}.json`.

    Images and masks are resized as in the official script. Segment ids are the pixel values of
    `panomasks`, so they are the same in all frames. Frames already converted to this size by an
    earlier run are kept. Call `check_source` first to find missing files.

    Args:
        root: folder with `imgs` and `panomasks`.
        out: output folder.
        videos: names of the videos of the split.
        split: name of the split.
        categories_file: path of panoVIPSeg_categories.json.
        short_side: height of the frames, in pixels; 720 in the official conversion.
        workers: number of threads.
        progress: wrapper of the iterator over the videos, such as tqdm.

    Raises:
        FileNotFoundError: if a video, an image or a mask is missing.
        ConversionError: if there are no videos, or a mask differs in size from its image or has an
            unknown value.
        OSError: if a file cannot be written.
    """
    if not videos:
        raise ConversionError(f'{root}: {split}.txt lists no videos')
    categories = load_json(categories_file)
    record = JsonRecord({'categories': categories}, str(categories_file))
    known = {category.id for category in read_panoptic_categories(record)}
    entries: dict[str, list[Any]] = {'videos': [], 'annotations': []}
    frames: list[_Frame] = []
    with ThreadPoolExecutor(workers) as pool:
        for name in progress(videos):
            for folder in ('images', 'panomasksRGB'):
                (out / folder / name).mkdir(parents=True, exist_ok=True)
            convert = partial(_convert_frame, root, out, name, short_side, known)
            of_video = list(pool.map(convert, list_images(root / 'imgs' / name)))
            entries['videos'].append({'video_id': name, 'images': [f.image for f in of_video]})
            entries['annotations'].append(
                {'video_id': name, 'annotations': [f.annotation for f in of_video]}
            )
            frames += of_video
    path = out / f'panoptic_gt_VIPSeg_{split}.json'
    write_atomically(path, json.dumps({**entries, 'categories': categories}).encode())
    return ConvertedSplit(
        path,
        len(frames),
        sum(frame.was_present for frame in frames),
        sum(frame.mislabeled for frame in frames),
    )


def _convert_frame(
    root: Path, out: Path, video: str, short_side: int, known: set[int], image: Path
) -> _Frame:
    """Convert a frame and its mask, unless they exist."""
    target = out / 'images' / video / f'{image.stem}.jpg'
    target_mask = out / 'panomasksRGB' / video / f'{image.stem}.png'
    with open_image(image, ConversionError) as picture:
        width, height = picture.size
        size = int(short_side * width / height), short_side
        ids = _present_ids(target_mask, size) if target.is_file() else None
        was_present, mislabeled = ids is not None, 0
        if ids is None:
            mask = root / 'panomasks' / video / f'{image.stem}.png'
            values = read_raw_values(mask)
            if values.shape != (height, width):
                raise ConversionError(
                    f'{mask}: has {values.shape[1]}x{values.shape[0]} pixels, its image '
                    f'{width}x{height}'
                )
            mislabeled = int((values == MISLABELED).sum())
            plane = Image.fromarray(void_removed(values).astype(np.int32))
            ids = np.asarray(plane.resize(size, Image.Resampling.NEAREST))
            _check_values(ids, mask, known)
            resized = picture.convert('RGB').resize(size, Image.Resampling.BILINEAR)
            write_image(target, resized, quality=_JPEG_QUALITY)
            write_image(target_mask, Image.fromarray(ids_to_rgb(ids)))
    segments = segments_info(ids, category_of_value)
    name = target_mask.name
    entry = {'id': image.stem, 'width': size[0], 'height': size[1], 'file_name': name}
    annotation = {'image_id': image.stem, 'file_name': name, 'segments_info': segments}
    return _Frame(entry, annotation, was_present, mislabeled)


def _present_ids(path: Path, size: tuple[int, int]) -> NDArray[np.uint32] | None:
    """Return the (H, W) ids of a mask already converted to this (width, height), or None."""
    try:
        ids = read_ids(path)
    except (FileNotFoundError, AnnotationError):
        return None
    return ids if ids.shape == size[::-1] else None


def _check_values(ids: NDArray[np.int32], mask: Path, known: set[int]) -> None:
    for value in np.unique(ids).tolist():
        if value != VOID and category_of_value(value) not in known:
            raise ConversionError(f'{mask}: value {value} is not a category of the dataset')
