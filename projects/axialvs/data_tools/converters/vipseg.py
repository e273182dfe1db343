"""VIPSeg as it is downloaded to 720P: smaller images, panoptic PNGs and a JSON file per split."""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from axialvs.data_tools.converters.labelled_video import ConversionError
from axialvs.datasets.annotations.panomasks import category_of_value, read_values
from axialvs.datasets.annotations.panoptic import read_panoptic_categories
from axialvs.datasets.annotations.schema import JsonRecord, load_json
from axialvs.datasets.image_files import image_size, list_images
from axialvs.utils.files import write_atomically

_JPEG_QUALITY = 95


def convert_split(
    root: Path,
    out: Path,
    videos: Sequence[str],
    split: str,
    categories_file: Path,
    short_side: int = 720,
    workers: int = 2,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Path:
    """Write `images`, `panomasksRGB` and `panoptic_gt_VIPSeg_{split}.json`.

    Segment ids are the pixel values of `panomasks`, so they are the same in all frames.

    Args:
        root: folder with `imgs` and `panomasks`.
        out: folder to write to.
        videos: names of the split's videos.
        split: name of the split.
        categories_file: panoVIPSeg_categories.json.
        short_side: height of the frames, in pixels; the official conversion has 720.
        workers: threads.
        progress: wraps the videos, for a progress bar.

    Returns:
        The JSON file.

    Raises:
        FileNotFoundError: a video, an image or a mask is missing.
        ConversionError: a mask has another size than its image, or a value of no category.
        OSError: a file cannot be written.
    """
    categories = load_json(categories_file)
    record = JsonRecord({'categories': categories}, str(categories_file))
    known = {category.id for category in read_panoptic_categories(record)}
    entries: dict[str, list[Any]] = {'videos': [], 'annotations': []}
    with ThreadPoolExecutor(workers) as pool:
        for name in progress(videos):
            folder = root / 'imgs' / name
            if not folder.is_dir():
                raise FileNotFoundError(f'{folder}: no such folder')

            def convert(image: Path, name: str = name) -> tuple[dict, dict]:
                mask = root / 'panomasks' / name / f'{image.stem}.png'
                return _convert_frame(image, mask, out, name, short_side, known)

            frames = list(pool.map(convert, list_images(folder)))
            entries['videos'].append({'video_id': name, 'images': [f[0] for f in frames]})
            entries['annotations'].append({'video_id': name, 'annotations': [f[1] for f in frames]})
    path = out / f'panoptic_gt_VIPSeg_{split}.json'
    write_atomically(path, json.dumps({**entries, 'categories': categories}).encode())
    return path


def _convert_frame(
    image: Path, mask: Path, out: Path, video: str, short_side: int, known: set[int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a frame and its mask; return their entries in the JSON."""
    values = read_values(mask)
    width, height = image_size(image)
    if values.shape != (height, width):
        raise ConversionError(
            f'{mask}: has {values.shape[1]}x{values.shape[0]} pixels, its image {width}x{height}'
        )
    size = int(short_side * width / height), short_side
    small = cv2.resize(values.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST)
    pixels = cv2.resize(cv2.imread(str(image)), size, interpolation=cv2.INTER_LINEAR)
    segments = []
    found, areas = np.unique(small, return_counts=True)
    for value, area in zip(found.tolist(), areas.tolist(), strict=True):
        category = category_of_value(value)
        if category is None:
            continue
        if category not in known:
            raise ConversionError(f'{mask}: value {value} belongs to no category of the data set')
        segments.append({'id': value, 'category_id': category, 'iscrowd': 0, 'area': area})
    for folder in ('images', 'panomasksRGB'):
        (out / folder / video).mkdir(parents=True, exist_ok=True)
    target = out / 'images' / video / f'{image.stem}.jpg'
    if not cv2.imwrite(str(target), pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
        raise OSError(f'{target}: cannot be written; is the disk full?')
    rgb = np.stack([small & 255, small >> 8, np.zeros_like(small)], axis=-1).astype(np.uint8)
    file_name = f'{image.stem}.png'
    Image.fromarray(rgb).save(out / 'panomasksRGB' / video / file_name)
    frame = {'id': image.stem, 'width': size[0], 'height': size[1], 'file_name': file_name}
    return frame, {'image_id': image.stem, 'file_name': file_name, 'segments_info': segments}
