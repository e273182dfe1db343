"""Small panoptic segmentations in VIPSeg's layout, and reference metrics by set arithmetic."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import VideoPanopticScores, evaluate_panoptic

THINGS = {4, 5, 6, 7}
STUFF = {0, 1, 2, 3}
CATEGORIES = [
    {'id': c, 'name': f'class {c}', 'isthing': int(c in THINGS)} for c in sorted(THINGS | STUFF)
]


@dataclass
class Side:
    """Ground truth or prediction of a video: ids (L, H, W) with 0 as void, classes, and crowds."""

    ids: np.ndarray
    classes: dict[int, int]
    crowds: frozenset[int] = frozenset()


def write(folder: Path, videos: list[Side], name: str) -> tuple[Path, Path]:
    """Write one side of all videos and return its JSON and its folder of PNGs."""
    entries = []
    pictures = folder / name
    for index, video in enumerate(videos):
        place = pictures / f'video{index}'
        place.mkdir(parents=True, exist_ok=True)
        frames = []
        for frame, ids in enumerate(video.ids):
            file_name = f'{frame:04d}.png'
            write_png(place / file_name, ids)
            seen = sorted(set(np.unique(ids).tolist()) - {0})
            frames.append(
                {
                    'file_name': file_name,
                    'segments_info': [
                        {
                            'id': i,
                            'category_id': video.classes[i],
                            'iscrowd': int(i in video.crowds),
                            'area': int((ids == i).sum()),
                        }
                        for i in seen
                    ],
                }
            )
        entries.append({'video_id': f'video{index}', 'annotations': frames})
    path = folder / f'{name}.json'
    path.write_text(json.dumps({'categories': CATEGORIES, 'annotations': entries}))
    return path, pictures


def write_png(path: Path, ids: np.ndarray) -> None:
    colors = np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1)
    Image.fromarray(colors.astype(np.uint8)).save(path)


def score(
    folder: Path, gt: list[Side], predicted: list[Side], workers: int = 1
) -> VideoPanopticScores:
    ground_truth = read_ground_truth(*write(folder, gt, 'gt'))
    predictions = read_predictions(*write(folder, predicted, 'pred'), ground_truth)
    return evaluate_panoptic(ground_truth, predictions, workers)


def random_case(seed: int) -> tuple[list[Side], list[Side]]:
    """Return blocks of 6 ids, in part predicted as others; 4 of the 10 predicted ids are random.

    There are void, crowds, wrong classes, short videos and ids up to the maximum.
    """
    random = np.random.default_rng(seed)
    gt, predicted = [], []
    for _ in range(random.integers(1, 4)):
        length = int(random.integers(1, 9))
        blocks = np.repeat(random.integers(0, 7, (length > 4) + 1), 4)[:length]
        ids = (random.integers(0, 7, (3, 4)) + blocks[:, None, None]) % 7
        ids = ids.repeat(2, axis=1).repeat(2, axis=2)
        ids[random.random(ids.shape) < 0.1] = 0
        confused = random.random(ids.shape) < random.uniform(0, 0.5)
        seen = np.where(confused, random.integers(0, 11, ids.shape), ids)

        classes = random.integers(0, 8, 7)
        of_seen = np.append(classes, random.integers(0, 8, 4))
        of_seen[random.integers(0, 11)] = random.integers(0, 8)
        crowds = (np.flatnonzero(random.random(7) < 0.15)).tolist()
        names, seen_names = (random.choice(2**24 - 1, n, replace=False) + 1 for n in (7, 11))
        names[0] = seen_names[0] = 0
        gt.append(_side(ids, names, classes, crowds))
        predicted.append(_side(seen, seen_names, of_seen))
    return gt, predicted


def _side(
    ids: np.ndarray, names: np.ndarray, classes: np.ndarray, crowds: Sequence[int] = ()
) -> Side:
    return Side(
        names[ids],
        dict(zip(names.tolist(), classes.tolist(), strict=True)),
        frozenset(names[crowds].tolist()) if crowds else frozenset(),
    )


def expected_metrics(gt: list[Side], predicted: list[Side]) -> dict[str, float]:
    """Compute the metrics by definition, slowly, with tubes as Python sets of pixels."""
    metrics: dict[str, float] = {}
    parts = {'': THINGS | STUFF, '_thing': THINGS, '_stuff': STUFF}
    for window in (1, 2, 4, 6):
        qualities = _qualities(gt, predicted, window)
        for part, classes in parts.items():
            metrics[f'vpq{window}{part}'] = _percent([qualities[c] for c in classes & {*qualities}])
    for part in parts:
        values = [metrics[f'vpq{window}{part}'] for window in (1, 2, 4, 6)]
        metrics[f'vpq{part}'] = -1 if -1 in values else sum(values) / 4
    aq, sq = _percent(_associations(gt, predicted)), _percent(_class_ious(gt, predicted))
    stq = -1 if -1 in (aq, sq) else (aq * sq) ** 0.5
    return {**metrics, 'stq': stq, 'aq': aq, 'sq': sq}


def _percent(values: list[float]) -> float:
    return 100 * sum(values) / len(values) if values else -1


def _tubes(ids: np.ndarray) -> dict[int, set]:
    tubes: dict[int, set] = defaultdict(set)
    for place in np.ndindex(ids.shape):
        tubes[int(ids[place])].add(place)
    return tubes


def _qualities(gt: list[Side], predicted: list[Side], window: int) -> dict[int, float]:
    """Return the panoptic quality of each class with counted tubes."""
    ious: dict[int, float] = defaultdict(float)
    weights: dict[int, float] = defaultdict(float)
    for one, other in zip(gt, predicted, strict=True):
        for start in range(len(one.ids) - window + 1):
            gt, pred = (_tubes(x.ids[start : start + window]) for x in (one, other))
            void = gt.pop(0, set())
            pred.pop(0, None)
            matched = set()
            for g, p in ((g, p) for g in gt for p in pred):
                iou = len(gt[g] & pred[p]) / len((gt[g] | pred[p]) - (void - gt[g]))
                same = one.classes[g] == other.classes[p]
                if same and iou > 0.5 and g not in one.crowds:
                    matched |= {('gt', g), ('pred', p)}
                    ious[one.classes[g]] += iou
                    weights[one.classes[g]] += 1
            for g in gt:
                if ('gt', g) not in matched and g not in one.crowds:
                    weights[one.classes[g]] += 0.5
            for p in pred:
                crowds = [
                    gt[g] for g in gt if g in one.crowds and one.classes[g] == other.classes[p]
                ]
                excused = len(pred[p] & void.union(*crowds)) / len(pred[p]) > 0.5
                if ('pred', p) not in matched and not excused:
                    weights[other.classes[p]] += 0.5
    return {c: ious[c] / weight for c, weight in weights.items()}


def _associations(gt: list[Side], predicted: list[Side]) -> list[float]:
    """Return the association quality of each ground truth tube of a thing."""
    values = []
    for one, other in zip(gt, predicted, strict=True):
        gt, pred = _tubes(one.ids), _tubes(other.ids)
        gt = {g: pixels for g, pixels in gt.items() if g and one.classes[g] in THINGS}
        pred = {p: pixels for p, pixels in pred.items() if p and other.classes[p] in THINGS}
        crowd = set().union(*(gt[g] for g in gt if g in one.crowds))
        for g in gt:
            if g not in one.crowds:
                parts = ((gt[g] & p, gt[g] | (p - crowd)) for p in pred.values())
                values.append(sum(len(i) / len(gt[g]) * len(i) / len(u) for i, u in parts))
    return values


def _class_ious(gt: list[Side], predicted: list[Side]) -> list[float]:
    right: dict[int, int] = defaultdict(int)
    union: dict[int, int] = defaultdict(int)
    for one, other in zip(gt, predicted, strict=True):
        for g, p in zip(one.ids.flat, other.ids.flat, strict=True):
            if g == 0:
                continue
            involved = {one.classes[g]} | ({other.classes[p]} if p else set())
            for c in involved:
                union[c] += 1
            right[one.classes[g]] += p != 0 and one.classes[g] == other.classes[p]
    return [right[c] / union[c] for c in union]
