"""Times VPQ and STQ against a literal form on generated videos; both must agree.

python tools/analysis_tools/benchmark_panoptic_evaluation.py [--videos 8] [--workers 2]

The literal form is what the definitions suggest and evaluation scripts commonly do: every window of
frames is stacked anew, and its pairs of ids are counted by sorting pixels. It gets its frames read
already; scripts read them again for every window.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from axialvs.datasets.annotations.panoptic import PanopticSegmentation, read_ground_truth, read_ids
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import evaluate_panoptic
from axialvs.evaluation.vpq import WINDOWS
from axialvs.utils.cli import run_command

TOLERANCE = 1e-9
NUM_THINGS, NUM_STUFF = 6, 4
_ID_BITS = 24
_SHIFT = 3  # pixels a frame that predicted objects lag behind
_CONFUSED = 0.1  # share of the objects that are predicted as another class


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--videos', type=int, default=8)
    parser.add_argument('--frames', type=int, default=24)
    parser.add_argument('--objects', type=int, default=16, help='moving ones, in front of stuff')
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--workers', type=int, help='processes of this evaluator')
    parser.add_argument('--rounds', type=int, default=3, help='the fastest round counts')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if min(args.videos, args.objects, *args.size, args.rounds) < 1:
        parser.error('--videos, --objects, --size and --rounds are at least 1')
    # In shorter videos VPQ has no value, which would agree with anything.
    if args.frames < max(WINDOWS):
        parser.error(f'--frames {args.frames}: at least {max(WINDOWS)}, the longest window of VPQ')
    return args


def main() -> int:
    """Generates videos, scores them both ways in turn and prints times, ratio and agreement."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        truth, predictions = generate(args, Path(folder))
        literal_seconds, ours = [], []
        for _ in tqdm(range(args.rounds), desc='rounds', file=sys.stderr):
            reading, expected, literal = score_literally(truth, predictions)
            literal_seconds.append((reading, literal))
            start = time.perf_counter()
            scores = evaluate_panoptic(truth, predictions, args.workers).summary()
            ours.append(time.perf_counter() - start)
    print(
        f'{args.videos} videos of {args.frames} frames at {args.size[0]}x{args.size[1]}, '
        f'{args.objects} objects and {NUM_STUFF} regions, {os.cpu_count()} CPU cores'
    )
    reading, literal = (min(x) for x in zip(*literal_seconds, strict=True))
    print(f'reading all PNGs once, one process: {reading:.2f} s')
    print(f'literal form, without reading: {literal:.2f} s')
    print(f'axialvs, reading included: {min(ours):.2f} s')
    print(f'ratio: {literal / min(ours):.1f}; with one reading on both sides: ', end='')
    print(f'{(literal + reading) / min(ours):.1f}')
    worst = max(abs(expected[name] - scores[name]) for name in expected)
    print(f'largest difference of the {len(expected)} figures: {worst:.1e}')
    for name, value in expected.items():
        print(f'  {name:6}{value:12.6f}{scores[name]:12.6f}')
    if worst > TOLERANCE:
        print(f'the figures differ by more than {TOLERANCE}', file=sys.stderr)
        return 1
    return 0


def generate(
    args: argparse.Namespace, folder: Path
) -> tuple[PanopticSegmentation, PanopticSegmentation]:
    """Ellipses that drift over bands of stuff; predicted ones lag, and some have another class."""
    random = np.random.default_rng(args.seed)
    sides: dict[str, list] = {'truth': [], 'predictions': []}
    for index in tqdm(range(args.videos), desc='generating', file=sys.stderr):
        places = random.uniform(0, args.size, (args.objects, 2))
        speeds = random.uniform(-8, 8, (args.objects, 2))
        radii = random.uniform(0.03, 0.12, (args.objects, 2)) * args.size
        classes = random.integers(0, NUM_THINGS, args.objects)
        confused = random.random(args.objects) < _CONFUSED
        other = np.where(confused, (classes + 1) % NUM_THINGS, classes)
        for (name, videos), of_side, lag in zip(
            sides.items(), (classes, other), (0, _SHIFT), strict=True
        ):
            place = folder / name / str(index)
            place.mkdir(parents=True)
            categories = [*range(NUM_THINGS, NUM_THINGS + NUM_STUFF), *of_side.tolist()]
            frames = []
            for t in range(args.frames):
                ids = _draw(args.size, places + t * speeds - lag, radii)
                file_name = f'{t:05d}.png'
                colours = np.stack([ids & 255, ids >> 8, np.zeros_like(ids)], axis=-1)
                Image.fromarray(colours.astype(np.uint8)).save(place / file_name, compress_level=1)
                seen = [i for i in np.unique(ids).tolist() if i]
                segments = [{'id': i, 'category_id': categories[i - 1] + 1} for i in seen]
                frames.append({'file_name': file_name, 'segments_info': segments})
            videos.append({'video_id': str(index), 'annotations': frames})
    listed = [
        {'id': c + 1, 'name': f'class {c + 1}', 'isthing': int(c < NUM_THINGS)}
        for c in range(NUM_THINGS + NUM_STUFF)
    ]
    paths = {}
    for name, videos in sides.items():
        paths[name] = folder / f'{name}.json'
        paths[name].write_text(json.dumps({'categories': listed, 'annotations': videos}))
    truth = read_ground_truth(paths['truth'], folder / 'truth')
    return truth, read_predictions(paths['predictions'], folder / 'predictions', truth)


def _draw(size: tuple[int, int], places: NDArray, radii: NDArray) -> NDArray[np.int64]:
    """Ids of one frame: bands from 1, objects behind them, 0 in a strip at the lower edge."""
    height, width = size
    rows = np.minimum(np.arange(height) * NUM_STUFF // height, NUM_STUFF - 1) + 1
    ids = np.repeat(rows[:, None], width, axis=1)
    y, x = np.ogrid[:height, :width]
    for number, ((cy, cx), (ry, rx)) in enumerate(zip(places, radii, strict=True)):
        inside = ((y - cy % height) / ry) ** 2 + ((x - cx % width) / rx) ** 2 < 1
        ids[inside] = NUM_STUFF + 1 + number
    ids[-height // 20 :] = 0
    return ids


def score_literally(
    truth: PanopticSegmentation, predictions: PanopticSegmentation
) -> tuple[float, dict[str, float], float]:
    """Seconds of reading, figures in percent, and seconds of all but reading."""
    start = time.perf_counter()
    videos = [list(_read_video(truth, predictions, index)) for index in range(len(truth.videos))]
    reading = time.perf_counter() - start
    start = time.perf_counter()
    places = {category.id: place for place, category in enumerate(truth.categories)}
    classes = [
        [{i: places[c] for i, c in side.videos[k].categories.items()} for k in range(len(videos))]
        for side in (truth, predictions)
    ]
    figures = {}
    for window in WINDOWS:
        counts = np.zeros((len(places), 2))  # sums of IoUs, and what they are divided by
        for frames, *of_video in zip(videos, *classes, strict=True):
            for first in range(len(frames) - window + 1):
                _count_window(frames[first : first + window], *of_video, counts)
        active = counts[counts[:, 1] > 0]
        figures[f'vpq{window}'] = 100 * float((active[:, 0] / active[:, 1]).mean())
    figures['vpq'] = float(np.mean(list(figures.values())))
    isthing = [category.isthing for category in truth.categories]
    figures.update(_tracking_quality(videos, *classes, isthing))
    return reading, figures, time.perf_counter() - start


def _read_video(
    truth: PanopticSegmentation, predictions: PanopticSegmentation, index: int
) -> Iterator[NDArray[np.int64]]:
    """Pairs of ids, (H, W) each: that of the truth in the high bits."""
    for name in truth.videos[index].file_names:
        one, other = (
            read_ids(os.path.join(side.folder, side.videos[index].id, name)).astype(np.int64)
            for side in (truth, predictions)
        )
        yield one << _ID_BITS | other


def _areas(pairs: NDArray[np.int64]) -> tuple[dict, dict, dict]:
    """Pixels of each pair of ids, of each id of the truth and of each predicted one."""
    shared: dict[tuple[int, int], int] = {}
    of_truth: dict[int, int] = defaultdict(int)
    predicted: dict[int, int] = defaultdict(int)
    for pair, pixels in zip(*np.unique(pairs, return_counts=True), strict=True):
        one, other = int(pair) >> _ID_BITS, int(pair) & ((1 << _ID_BITS) - 1)
        shared[one, other] = int(pixels)
        of_truth[one] += int(pixels)
        predicted[other] += int(pixels)
    return shared, of_truth, predicted


def _count_window(
    frames: list[NDArray], truth_classes: dict, predicted_classes: dict, counts: NDArray
) -> None:
    shared, of_truth, predicted = _areas(np.stack(frames))
    matched = set()
    for (one, other), pixels in shared.items():
        if not one or not other or truth_classes[one] != predicted_classes[other]:
            continue
        union = of_truth[one] + predicted[other] - pixels - shared.get((0, other), 0)
        if pixels / union > 0.5:
            counts[truth_classes[one]] += (pixels / union, 1)
            matched |= {('truth', one), ('predicted', other)}
    for one in of_truth:
        if one and ('truth', one) not in matched:
            counts[truth_classes[one], 1] += 0.5
    for other, pixels in predicted.items():
        if not other or ('predicted', other) in matched:
            continue
        if shared.get((0, other), 0) / pixels <= 0.5:
            counts[predicted_classes[other], 1] += 0.5


def _tracking_quality(
    videos: list, truth_classes: list, predicted_classes: list, isthing: list[bool]
) -> dict[str, float]:
    association: list[float] = []
    right, union = np.zeros(len(isthing)), np.zeros(len(isthing))
    for frames, ours, theirs in zip(videos, truth_classes, predicted_classes, strict=True):
        shared, of_truth, predicted = _areas(np.stack(frames))
        for (one, other), pixels in shared.items():
            if not one:
                continue
            union[ours[one]] += pixels
            if other and theirs[other] == ours[one]:
                right[ours[one]] += pixels
            elif other:
                union[theirs[other]] += pixels
        for one, area in of_truth.items():
            if not one or not isthing[ours[one]]:
                continue
            quality = 0.0
            for (mine, other), pixels in shared.items():
                if mine == one and other and isthing[theirs[other]]:
                    quality += pixels * pixels / (area + predicted[other] - pixels)
            association.append(quality / area)
    aq = float(np.mean(association))
    sq = float((right[union > 0] / union[union > 0]).mean())
    return {'stq': 100 * (aq * sq) ** 0.5, 'aq': 100 * aq, 'sq': 100 * sq}


if __name__ == '__main__':
    sys.exit(run_command(main))
