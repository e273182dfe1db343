"""Official YouTube-VIS figures: python tools/eval_vis.py GROUND_TRUTH.json RESULTS.json.

YouTube-VIS 2022: eval_vis.py GT_SHORT.json RESULTS.json --long GT_LONG.json
"""

import argparse
import json
import sys

from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.evaluation.results import only_video, read_results
from axialvs.evaluation.score_table import class_table, summary_table, video_table
from axialvs.evaluation.short_long import LONG, SHORT, join_parts, short_long_metrics
from axialvs.evaluation.youtube_vis import VideoAPResult, evaluate_tracks
from axialvs.utils.cli import run_command
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, write_atomically

_HEADLINES = ('AP_all', 'AP_short', 'AP_long')


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
    parser.add_argument(
        '--long',
        metavar='GT_LONG.json',
        help='ground truth of long videos, scored apart; the results hold both kinds',
    )
    parser.add_argument(
        '--out', metavar='METRICS.json', type=output_file, help='also write the figures'
    )
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
    """Scores the results, prints tables and writes the figures if asked to."""
    args = parse_args()
    metrics = score(args) if args.long is None else score_short_and_long(args)
    if args.out is not None:
        write_atomically(args.out, (json.dumps(metrics, indent=2) + '\n').encode())
        print(f'\nwrote {args.out}')


def score(args: argparse.Namespace) -> dict:
    """Scores one file of results against one ground truth."""
    annotations = read_annotations(args.ground_truth)
    results = read_results(args.results, annotations, args.video_id)
    if args.video_id is not None:
        annotations = only_video(annotations, args.video_id)
    return tables(evaluate_tracks(annotations, results, args.workers), args)


def score_short_and_long(args: argparse.Namespace) -> dict:
    """Scores one file of results against the ground truths of short and of long videos.

    Raises:
        ValueError: An option is for one ground truth only, or a file is wrong.
    """
    if args.video_id is not None:
        raise AxialVSError('--video-id and --long exclude each other.')
    parts = {SHORT: read_annotations(args.ground_truth), LONG: read_annotations(args.long)}
    results = read_results(args.results, join_parts(parts[SHORT], parts[LONG]))
    found = {}
    for name, annotations in parts.items():
        ids = {video.id for video in annotations.videos}
        of_part = [result for result in results if result.video_id in ids]
        print(f'{len(ids)} {name} videos')
        found[name] = tables(evaluate_tracks(annotations, of_part, args.workers), args)
        print()
    metrics = short_long_metrics(found[SHORT], found[LONG])
    print('\n'.join(f'{name:8}  {metrics[name]:.4f}' for name in _HEADLINES))
    return metrics


def tables(scores: VideoAPResult, args: argparse.Namespace) -> dict:
    """Prints the figures, and those of classes and videos if asked for, and gives them."""
    metrics: dict = scores.summary()
    print(summary_table(metrics))
    if args.per_class:
        metrics['per_class'] = scores.per_class()
        print('\n' + class_table(metrics['per_class']))
    if args.per_video:
        metrics['per_video'] = scores.per_video()
        print('\n' + video_table(metrics['per_video']))
    return metrics


if __name__ == '__main__':
    sys.exit(run_command(main))
