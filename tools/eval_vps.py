"""Evaluate video panoptic segmentation: VPQ and STQ, from files in VIPSeg's layout."""

import argparse
import functools
import json
import sys

from tqdm import tqdm

from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import evaluate_panoptic
from axialvs.evaluation.score_table import panoptic_table
from axialvs.utils.cli import number_from, run_command
from axialvs.utils.files import output_file, write_atomically


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for side, whose in (('gt', 'ground truth'), ('pred', 'predicted')):
        parser.add_argument(
            f'--{side}-json', metavar='JSON', required=True, help=f'{whose} segments'
        )
        parser.add_argument(
            f'--{side}-dir',
            metavar='DIR',
            required=True,
            help=f'{whose} PNGs, as VIDEO_ID/FILE_NAME, with id = R + 256 G + 65536 B',
        )
    parser.add_argument(
        '--out', metavar='METRICS.json', type=output_file, help='also write the metrics'
    )
    parser.add_argument(
        '--workers', type=number_from(1), help='processes (default: one per CPU core)'
    )
    return parser.parse_args()


def main() -> None:
    """Evaluate, print a table and write the metrics if requested."""
    args = parse_args()
    gt = read_ground_truth(args.gt_json, args.gt_dir)
    predictions = read_predictions(args.pred_json, args.pred_dir, gt)
    progress = functools.partial(tqdm, total=len(gt.videos), unit='video')
    metrics = evaluate_panoptic(gt, predictions, args.workers, progress).summary()
    print(panoptic_table(metrics))
    if args.out is not None:
        write_atomically(args.out, (json.dumps(metrics, indent=2) + '\n').encode())
        print(f'\nwrote {args.out}')


if __name__ == '__main__':
    sys.exit(run_command(main))
