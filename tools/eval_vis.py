"""Official YouTube-VIS figures: python tools/eval_vis.py GROUND_TRUTH.json RESULTS.json."""

import argparse
import json
import sys
from pathlib import Path

from axialvs.cli import run_command
from axialvs.datasets.annotations import read_annotations
from axialvs.engine.atomic_backend import write_atomically
from axialvs.evaluation.results_file import only_video, read_results
from axialvs.evaluation.score_table import class_table, summary_table, video_table
from axialvs.evaluation.youtube_vis_ap import evaluate_tracks

_BAD_INPUT = 2  # as argparse has it for bad arguments


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'ground_truth', metavar='GROUND_TRUTH.json', help='official annotation file'
    )
    parser.add_argument(
        'results',
        metavar='RESULTS.json',
        help='official list of results, a zip of it, or the JSON of segment_video.py',
    )
    parser.add_argument('--out', metavar='METRICS.json', type=Path, help='also write the figures')
    parser.add_argument('--per-class', action='store_true', help='figures of each class too')
    parser.add_argument('--per-video', action='store_true', help='figures of each video too')
    parser.add_argument(
        '--video-id',
        type=int,
        help='the video that the JSON of segment_video.py shows; only this one is scored',
    )
    parser.add_argument(
        '--workers', type=int, help='processes that share the videos; by default as many as pay'
    )
    return parser.parse_args()


def main() -> None:
    """Scores the results, prints tables and writes what was asked for."""
    args = parse_args()
    annotations = read_annotations(args.ground_truth)
    results = read_results(args.results, annotations, args.video_id)
    if args.video_id is not None:
        annotations = only_video(annotations, args.video_id)
    scores = evaluate_tracks(annotations, results, args.workers)
    metrics: dict = scores.summary()
    print(summary_table(metrics))
    if args.per_class:
        metrics['per_class'] = scores.per_class()
        print('\n' + class_table(metrics['per_class']))
    if args.per_video:
        metrics['per_video'] = scores.per_video()
        print('\n' + video_table(metrics['per_video']))
    if args.out is not None:
        write_atomically(args.out, (json.dumps(metrics, indent=2) + '\n').encode())
        print(f'\nwrote {args.out}')


if __name__ == '__main__':
    code = run_command(main)
    sys.exit(_BAD_INPUT if code == 1 else code)
