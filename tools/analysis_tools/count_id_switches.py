"""How often tracks lose their object: count_id_switches.py GROUND_TRUTH.json RESULTS.json ...

A model gives many tracks of low score, so switches are counted among tracks of at least
`--min-score`. They say nothing without the frames in which objects were followed at all: a model
that finds nothing never switches.
"""

import argparse
import sys
from pathlib import Path

from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.evaluation.id_switches import IDSwitches, count_id_switches
from axialvs.evaluation.results import read_results
from axialvs.utils.cli import run_command

PER_FRAMES = 1000


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ground_truth', metavar='GROUND_TRUTH.json')
    parser.add_argument('results', metavar='RESULTS.json', nargs='+', help='official lists')
    parser.add_argument(
        '--min-score', type=float, nargs='+', default=[0.1, 0.3, 0.5], help='thresholds'
    )
    parser.add_argument('--min-iou', type=float, default=0.5, help='of a match in a frame')
    parser.add_argument(
        '--any-class', action='store_true', help='a track may follow an object of another class'
    )
    return parser.parse_args()


def main() -> None:
    """Prints a table with a row for every file and threshold."""
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
    """One line of the table."""
    share = counts.followed / counts.visible if counts.visible else 0.0
    rate = f'{PER_FRAMES * counts.total / counts.followed:.1f}' if counts.followed else '-'
    followed = f'{counts.followed} of {counts.visible} ({share:.1%})'
    return f'| {name} | {score} | {counts.total} | {followed} | {rate} |'


if __name__ == '__main__':
    sys.exit(run_command(main))
