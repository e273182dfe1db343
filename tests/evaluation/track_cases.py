"""Small ground truth and results in the official layouts."""

import copy
import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from axialvs.datasets.annotations.youtube_vis import VideoAnnotations, read_annotations
from axialvs.evaluation.results import check_results
from axialvs.evaluation.youtube_vis import VideoAPResult, evaluate_tracks

HEIGHT, WIDTH = 300, 420


def box(x: float, y: float, width: float, height: float) -> dict:
    """Return the compressed RLE of a rectangle."""
    left, right = (int(np.clip(v, 0, WIDTH)) for v in (x, x + width))
    top, bottom = (int(np.clip(v, 0, HEIGHT)) for v in (y, y + height))
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order='F')
    mask[top:bottom, left:right] = 1
    return {
        'size': [HEIGHT, WIDTH],
        'counts': coco_mask.encode(mask)['counts'].decode(),
    }


def gt_of(lengths: list[int], tracks: list[tuple], categories=(2, 5)) -> dict:
    """Return videos 1, 2, ... with tracks `(video_id, category_id, masks[, iscrowd])`."""
    return {
        'videos': [
            {
                'id': index + 1,
                'width': WIDTH,
                'height': HEIGHT,
                'length': length,
                'file_names': [f'{index}/{frame}.jpg' for frame in range(length)],
            }
            for index, length in enumerate(lengths)
        ],
        'categories': [{'id': category, 'name': f'class {category}'} for category in categories],
        'annotations': [
            {
                'id': index + 1,
                'video_id': video,
                'category_id': category,
                'segmentations': masks,
                'areas': [mask and int(coco_mask.area(mask)) for mask in masks],
                'iscrowd': int(any(crowd)),
            }
            for index, (video, category, masks, *crowd) in enumerate(tracks)
        ],
    }


def result(video_id: int, category_id: int, score: float, masks: list) -> dict:
    return {
        'video_id': video_id,
        'category_id': category_id,
        'score': score,
        'segmentations': masks,
    }


def random_case(seed: int) -> tuple[dict, list[dict]]:
    """Return drifting boxes of all sizes, with crowds, gaps, empty videos, ties and look-alikes."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 5, size=random.integers(1, 4)).tolist()
    categories = (2, 5, 6)
    tracks, results = [], []
    for index, length in enumerate(lengths):
        for _ in range(random.integers(0, 6)):
            place = random.uniform((-40, -40), (WIDTH, HEIGHT))
            size = random.uniform(5, 300, 2)
            step = random.normal(0, 10, 2)
            category = int(random.choice(categories[:2]))
            masks = _drift(random, place, size, step, length)
            tracks.append((index + 1, category, masks, random.random() < 0.15))
            for _ in range(random.integers(0, 3)):
                shift = random.normal(0, 0.1 * size.min(), 2)
                found = _drift(random, place + shift, size, step, length)
                seen_as = category if random.random() < 0.8 else int(random.choice(categories))
                results.append(result(index + 1, seen_as, round(float(random.random()), 1), found))
    order = random.permutation(len(results))
    return gt_of(lengths, tracks, categories), [results[i] for i in order]


def _drift(random, place, size, step, length) -> list[dict | None]:
    masks = [box(*(place + step * frame), *size) for frame in range(length)]
    return [mask if random.random() < 0.85 else None for mask in masks]


def read(folder: Path, gt: dict) -> VideoAnnotations:
    """Write the ground truth to a file and read it back."""
    path = folder / 'gt.json'
    path.write_text(json.dumps(gt))
    return read_annotations(path)


def score(folder: Path, gt: dict, results: list[dict], workers: int = 1) -> VideoAPResult:
    annotations = read(folder, gt)
    return evaluate_tracks(annotations, check_results(results, annotations, 'results'), workers)


def summary(folder: Path, gt: dict, results: list[dict]) -> dict[str, float]:
    return score(folder, gt, results).summary()


def as_results(gt: dict) -> list[dict]:
    """Return the ground truth without crowds as results of decreasing scores."""
    return [
        result(x['video_id'], x['category_id'], 1 / (1 + index), copy.copy(x['segmentations']))
        for index, x in enumerate(gt['annotations'])
        if not x['iscrowd']
    ]
