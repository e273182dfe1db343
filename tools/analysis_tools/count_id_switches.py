"""Count identity switches of tracks: count_id_switches.py GROUND_TRUTH.json RESULTS.json ...

Models return many tracks with low scores, so only tracks with at least `--min-score` count. Compare
the switches with the number of tracked frames: a model without detections has no switches. For HOTA
and IDF1, see eval_vis.py --tracking.
"""

import argparse
import sys
from pathlib import Path

from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.evaluation.id_switches import IDSwitches, count_id_switches
from axialvs.evaluation.results import read_results
from axialvs.utils.cli import number_from, run_command, script_parser

PER_FRAMES = 1000


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('ground_truth', metavar='GROUND_TRUTH.json')
    parser.add_argument('results', metavar='RESULTS.json', nargs='+', help='official lists')
    parser.add_argument(
        '--min-score',
        type=number_from(-1e9, 1e9, float),
        nargs='+',
        default=[0.1, 0.3, 0.5],
        help='thresholds',
    )
    parser.add_argument(
        '--min-iou', type=number_from(0, 1, float), default=0.5, help='minimum mask IoU of a match'
    )
    parser.add_argument(
        '--any-class',
        action='store_true',
        help='also match different classes',
    )
    return parser.parse_args()


def main() -> None:
    """Print a table with a row for every file and threshold."""
    args = parse_args()
    annotations = read_annotations(args.ground_truth)
    print(f'| results | score from | switches | frames followed | switches / {PER_FRAMES} frames |')
    print('|---|---|---|---|---|')
    for path in args.results:
        results = read_results(path, annotations)
        for score in args.min_score:
            counts = count_id_switches(
                annotations, results, args.min_iou, score, same_category=not args.any_class
            )
            print(row(Path(path).stem, score, counts), flush=True)


def row(name: str, score: float, counts: IDSwitches) -> str:
    """One row of the table."""
    share = counts.followed / counts.visible if counts.visible else 0.0
    rate = f'{PER_FRAMES * counts.total / counts.followed:.1f}' if counts.followed else '-'
    followed = f'{counts.followed} of {counts.visible} ({share:.1%})'
    return f'| {name} | {score} | {counts.total} | {followed} | {rate} |'


if __name__ == '__main__':
    sys.exit(run_command(main))
