"""Evaluate video instance segmentation.

Computes the metrics of YouTube-VIS by default (for YouTube-VIS 2022, add --long GT_LONG.json), HOTA
and IDF1 with --tracking, and J&F with --davis.
"""

import argparse
import json
import sys

from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.evaluation.results import only_video, read_results
from axialvs.evaluation.score_table import class_table, metrics_table, summary_table, video_table
from axialvs.evaluation.short_long import LONG, SHORT, join_parts, short_long_metrics
from axialvs.evaluation.youtube_vis import VideoAPResult, evaluate_tracks
from axialvs.utils.cli import number_from, run_command, script_parser
from axialvs.utils.files import output_file, write_atomically

_HEADLINES = ('AP_all', 'AP_short', 'AP_long')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = script_parser(__doc__)
    parser.add_argument(
        'ground_truth', metavar='GROUND_TRUTH.json', help='official annotation file'
    )
    parser.add_argument(
        'results',
        metavar='RESULTS.json',
        help='official list of results, a zip of it, or the JSON of axialvs segment',
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        '--long',
        metavar='GT_LONG.json',
        help='ground truth of long videos, evaluated separately; the results hold both kinds',
    )
    kind.add_argument(
        '--tracking',
        action='store_true',
        help='HOTA, DetA, AssA, LocA, IDF1, IDR and IDP, averaged over classes, as in TrackEval',
    )
    kind.add_argument(
        '--davis', action='store_true', help='J&F, J and F of all objects, regardless of classes'
    )
    parser.add_argument(
        '--out', metavar='METRICS.json', type=output_file, help='also write the metrics'
    )
    parser.add_argument('--per-class', action='store_true', help='also metrics of each class')
    parser.add_argument('--per-video', action='store_true', help='also AP of each video')
    parser.add_argument(
        '--video-id',
        type=int,
        help='id of the video that the JSON of axialvs segment belongs to',
    )
    parser.add_argument(
        '--workers', type=number_from(1), help='processes for AP (default: at most 4)'
    )
    args = parser.parse_args()
    if args.long and args.video_id is not None:
        parser.error('argument --video-id: not allowed with argument --long')
    if args.davis and args.per_class:
        parser.error('argument --per-class: not allowed with argument --davis')
    if (args.davis or args.tracking) and args.per_video:
        parser.error('argument --per-video: not allowed with arguments --tracking and --davis')
    return args


def main() -> None:
    """Evaluate, print tables and write the metrics if requested."""
    args = parse_args()
    metrics = evaluate_short_and_long(args) if args.long else evaluate(args)
    if args.out is not None:
        write_atomically(args.out, (json.dumps(metrics, indent=2) + '\n').encode())
        print(f'\nwrote {args.out}')


def evaluate(args: argparse.Namespace) -> dict:
    """Evaluate one file of results against one ground truth."""
    annotations = read_annotations(args.ground_truth)
    results = read_results(args.results, annotations, args.video_id)
    if args.video_id is not None:
        annotations = only_video(annotations, args.video_id)
    if args.davis:
        from axialvs.evaluation.davis import evaluate_davis

        metrics: dict = evaluate_davis(annotations, results)
        print(metrics_table({'all': metrics}, ''))
    elif args.tracking:
        from axialvs.evaluation.tracking import evaluate_tracking

        tracking = evaluate_tracking(annotations, results)
        metrics = tracking.summary()
        print(metrics_table({'mean': metrics, 'pooled': tracking.pooled()}, 'classes'))
        if args.per_class:
            metrics['per_class'] = tracking.per_class()
            print('\n' + metrics_table(metrics['per_class'], 'class'))
    else:
        metrics = ap_tables(evaluate_tracks(annotations, results, args.workers), args)
    return metrics


def evaluate_short_and_long(args: argparse.Namespace) -> dict:
    """Evaluate one file of results against the ground truths of short and of long videos."""
    parts = {SHORT: read_annotations(args.ground_truth), LONG: read_annotations(args.long)}
    results = read_results(args.results, join_parts(parts[SHORT], parts[LONG]))
    by_part = {}
    for name, annotations in parts.items():
        ids = {video.id for video in annotations.videos}
        of_part = [result for result in results if result.video_id in ids]
        print(f'{len(ids)} {name} videos')
        by_part[name] = ap_tables(evaluate_tracks(annotations, of_part, args.workers), args)
        print()
    metrics = short_long_metrics(by_part[SHORT], by_part[LONG])
    print('\n'.join(f'{name:8}  {metrics[name]:.4f}' for name in _HEADLINES))
    return metrics


def ap_tables(scores: VideoAPResult, args: argparse.Namespace) -> dict:
    """Print the metrics, also per class and per video if requested, and return them."""
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
