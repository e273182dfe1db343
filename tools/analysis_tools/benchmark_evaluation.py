"""Times the YouTube-VIS figures against mmdet's evaluator on generated tracks; both must agree.

Both sides get the same files. `YTVISeval` takes a track's size from the file's `areas`, which are
mask areas here, so all twelve figures are compared. (mmdet's metric class writes box areas there,
and its APs, APm and APl differ from the official ones for that reason.)
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm, trange

from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.evaluation.results import check_results
from axialvs.evaluation.youtube_vis import evaluate_tracks
from axialvs.utils.cli import run_command

from mmdet.evaluation.functional import YTVIS, YTVISeval  # isort: skip - after axialvs, see its operators.py

OFFICIAL_ORDER = (
    *('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl'),
    *('AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl'),
)
TOLERANCE = 1e-9


class Seconds(NamedTuple):
    """How long something took: by the clock, and of all CPU cores and processes together."""

    wall: float
    cpu: float


class Timing(NamedTuple):
    """The figures of one side, and what they took."""

    figures: dict[str, float]
    evaluation: Seconds
    reading: Seconds


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--videos', type=int, default=100)
    parser.add_argument('--tracks', type=int, default=20, help='of each kind in a video')
    parser.add_argument('--frames', type=int, default=24)
    parser.add_argument('--classes', type=int, default=5)
    parser.add_argument('--size', type=int, nargs=2, default=(360, 640), metavar=('H', 'W'))
    parser.add_argument('--workers', type=int, help='processes of this evaluator')
    parser.add_argument('--rounds', type=int, default=3, help='the fastest round counts')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if min(args.videos, args.tracks, args.frames, args.classes, *args.size, args.rounds) < 1:
        parser.error('--videos, --tracks, --frames, --classes, --size and --rounds are at least 1')
    return args


def main() -> int:
    """Generates tracks, scores them both ways in turn and prints times, ratio and agreement."""
    args = parse_args()
    ground_truth, results = generate(args)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, 'ground_truth.json'), Path(folder, 'results.json')
        for path, content in zip(paths, (ground_truth, results), strict=True):
            path.write_text(json.dumps(content))
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        print(
            f'{args.videos} videos of {args.frames} frames at {args.size[0]}x{args.size[1]}, '
            f'{args.tracks} ground truth and {args.tracks} detected tracks each, '
            f'{args.classes} classes, {megabytes:.0f} MB of JSON, {os.cpu_count()} CPU cores',
            flush=True,
        )
        rounds = [
            (score_with_mmdet(*paths), score_with_axialvs(*paths, args.workers))
            for _ in trange(args.rounds, desc='rounds', file=sys.stderr)
        ]
    print(f'{"seconds":28}{"mmdet":>10}{"axialvs":>10}{"ratio":>8}')
    for part in ('evaluation', 'reading'):
        for clock in Seconds._fields:
            theirs, ours = (
                min(getattr(getattr(x[side], part), clock) for x in rounds) for side in (0, 1)
            )
            print(f'{f"{part}, {clock}":28}{theirs:10.3f}{ours:10.3f}{theirs / ours:8.1f}')
    expected, figures = (timing.figures for timing in rounds[0])
    worst = max(abs(expected[key] - figures[key]) for key in expected)
    print(f'largest difference of the {len(expected)} figures: {worst:.1e}')
    for key in expected:
        print(f'  {key:6}{expected[key]:10.6f}{figures[key]:10.6f}')
    if worst > TOLERANCE:
        print(f'the figures differ by more than {TOLERANCE}', file=sys.stderr)
        return 1
    return 0


def score_with_mmdet(ground_truth: Path, results: Path) -> Timing:
    """The reference; reading is that of plain JSON."""
    (truth, entries), reading = _timed(
        lambda: (json.loads(ground_truth.read_text()), json.loads(results.read_text()))
    )

    def evaluate() -> Any:
        annotations = YTVIS(truth)
        evaluator = YTVISeval(annotations, annotations.loadRes(entries))
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        return evaluator.stats

    with contextlib.redirect_stdout(io.StringIO()):
        stats, seconds = _timed(evaluate)
    return Timing(dict(zip(OFFICIAL_ORDER, stats.tolist(), strict=True)), seconds, reading)


def score_with_axialvs(ground_truth: Path, results: Path, workers: int | None) -> Timing:
    """This project; reading includes all checks."""

    def read() -> Any:
        annotations = read_annotations(ground_truth)
        return annotations, check_results(json.loads(results.read_text()), annotations, 'results')

    inputs, reading = _timed(read)
    figures, seconds = _timed(lambda: evaluate_tracks(*inputs, workers=workers).summary())
    return Timing(figures, seconds, reading)


def _timed(function: Callable[[], Any]) -> tuple[Any, Seconds]:
    wall, cpu = time.perf_counter(), _cpu_seconds()
    value = function()
    return value, Seconds(time.perf_counter() - wall, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def generate(args: argparse.Namespace) -> tuple[dict, list]:
    """Ground truth and results in the official layout: wavy rings that drift, seen inexactly."""
    height, width = args.size
    random = np.random.default_rng(args.seed)
    truth: dict[str, list] = {
        'videos': [
            {
                'id': video,
                'width': width,
                'height': height,
                'length': args.frames,
                'file_names': [f'{video}/{frame}.jpg' for frame in range(args.frames)],
            }
            for video in range(1, args.videos + 1)
        ],
        'categories': [{'id': c, 'name': f'class {c}'} for c in range(1, args.classes + 1)],
        'annotations': [],
    }
    results = []
    for video in tqdm(truth['videos'], 'generating videos', file=sys.stderr):
        for _ in range(args.tracks):
            category = int(random.integers(1, args.classes + 1))
            shape = _random_shape(random, height, width)
            masks = _track(random, shape, 0.0, args.frames, height, width)
            areas = [None if mask is None else int(coco_mask.area(mask)) for mask in masks]
            truth['annotations'].append(
                {
                    'id': len(truth['annotations']) + 1,
                    'video_id': video['id'],
                    'category_id': category,
                    'iscrowd': int(random.random() < 0.03),
                    'segmentations': masks,
                    'areas': areas,
                }
            )
            confused = random.random() < 0.1
            results.append(
                {
                    'video_id': video['id'],
                    'category_id': int(random.integers(1, args.classes + 1))
                    if confused
                    else category,
                    'score': float(random.random()),
                    'segmentations': _track(
                        random, shape, random.uniform(0, 0.4), args.frames, height, width
                    ),
                }
            )
    return truth, results


def _random_shape(random: np.random.Generator, height: int, width: int) -> dict[str, Any]:
    return {
        'centre': random.uniform((0, 0), (height, width)),
        'speed': random.normal(0, 0.01 * height, 2),
        'radius': random.uniform(0.04, 0.4) * height,
        'waves': random.uniform(4, 16),
    }


def _track(
    random: np.random.Generator,
    shape: dict[str, Any],
    error: float,
    frames: int,
    height: int,
    width: int,
) -> list[dict | None]:
    """One mask a frame, or None where the shape is out of sight or, at times, overlooked."""
    shift = error * shape['radius'] * random.normal(0, 0.7, 2)
    radius = shape['radius'] * (1 + 0.5 * error)
    masks = []
    for frame in range(frames):
        centre = shape['centre'] + shape['speed'] * frame + shift
        overlooked = random.random() < 0.05
        masks.append(
            None if overlooked else _ring(centre, radius, shape['waves'], frame, height, width)
        )
    return masks


def _ring(
    centre: np.ndarray, radius: float, waves: float, frame: int, height: int, width: int
) -> dict | None:
    """RLE of a disc with a wavy outline and a hole, made from its columns; None if not in sight."""
    left, right = (int(np.clip(centre[1] + side * radius, 0, width)) for side in (-1, 1))
    columns = np.arange(left, right)
    across = (columns - centre[1]) / radius
    half = (
        radius * np.sqrt(np.clip(1 - across**2, 0, 1)) * (1 + 0.15 * np.sin(waves * across + frame))
    )
    hole = 0.4 * radius * np.sqrt(np.clip(1 - (across / 0.4) ** 2, 0, 1))
    edges = np.stack(
        [centre[0] - half, centre[0] - hole, centre[0] + hole, centre[0] + half], axis=1
    )
    # The picture's border rows stay free: no run goes on in the next column.
    edges = np.clip(edges, 1, height - 1).astype(np.int64) + columns[:, None] * height
    starts, ends = edges[:, [0, 2]].ravel(), edges[:, [1, 3]].ravel()
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not starts.size:
        return None
    whole = ends[:-1] < starts[1:]  # upper and lower part meet where there is no hole
    starts, ends = starts[np.append(True, whole)], ends[np.append(whole, True)]
    toggles = np.stack([starts, ends], axis=1).ravel()
    counts = np.diff(toggles, prepend=0, append=height * width)
    rle = coco_mask.frPyObjects({'size': [height, width], 'counts': counts}, height, width)
    return {'size': [height, width], 'counts': rle['counts'].decode()}


if __name__ == '__main__':
    sys.exit(run_command(main))
