"""Find errors in a dataset that would stop or impair training.

Takes an annotation file in the layout of YouTube-VIS (videos), COCO (images) or VIPSeg (panoptic),
or a config. Counts all errors in the file, its masks and images, and prints examples and
statistics. The exit code is 0 without errors, 1 with errors, and 2 if nothing could be checked.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from axialvs.data_tools.checking.check import check_dataset
from axialvs.data_tools.checking.target import SPLITS, Target, targets_of_config
from axialvs.datasets.class_names import CLASS_LISTS
from axialvs.utils.cli import add_config_options, number_from, run_command, script_parser
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, write_atomically

_ERRORS_FOUND = 1  # bad input is 2


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('ann_file', metavar='FILE.json', nargs='?', help='annotation file')
    parser.add_argument('--images', metavar='DIR', help='folder that file names are relative to')
    parser.add_argument('--masks', metavar='DIR', help='folder of panoptic PNGs (panomasksRGB)')
    parser.add_argument('--config', help='config with file, images, classes and clip length')
    parser.add_argument(
        '--split', choices=SPLITS, default='train', help='split of the config (default: train)'
    )
    add_config_options(parser)
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help=f'class names, or one of the lists {", ".join(CLASS_LISTS)}',
    )
    parser.add_argument(
        '--clip-length', type=number_from(1), metavar='T', help='frames of a training clip'
    )
    parser.add_argument(
        '--min-area',
        type=number_from(0, kind=float),
        default=64,
        help='pixels below which an instance is reported as very small (default: 64)',
    )
    parser.add_argument('--fast', action='store_true', help='only check that images exist')
    parser.add_argument(
        '--examples', type=number_from(0), default=5, help='examples per finding (default: 5)'
    )
    parser.add_argument('--workers', type=number_from(1), help='threads (default: one per core)')
    parser.add_argument(
        '--out', metavar='REPORT.json', type=output_file, help='also write all findings'
    )
    args = parser.parse_args()
    if not args.ann_file and not args.config:
        parser.error('give an annotation file, or --config')
    return args


def targets_of(args: argparse.Namespace) -> list[Target]:
    """Return the annotation files to check.

    Raises:
        AxialVSError: if both a file and a config with several files are given.
    """
    if not args.config:
        targets = [Target(args.ann_file)]
    else:
        targets = targets_of_config(args.config, args.split, args.cfg_options)
        if args.ann_file and len(targets) > 1:
            raise AxialVSError(
                f'{args.config} has {len(targets)} annotation files; omit {args.ann_file} to check '
                'all of them, or omit --config to check only this one.'
            )
    changes = {
        'ann_file': args.ann_file,
        'images': args.images,
        'masks': args.masks,
        'classes': args.classes and _class_list(args.classes),
        'num_frames': args.clip_length,
    }
    return [
        replace(target, **{key: value for key, value in changes.items() if value is not None})
        for target in targets
    ]


def _class_list(names: Sequence[str]) -> str | Sequence[str]:
    return names[0] if len(names) == 1 and names[0] in CLASS_LISTS else names


def main() -> int:
    """Check, print a report per file, and write the JSON report if requested."""
    args = parse_args()
    workers = args.workers or len(os.sched_getaffinity(0))
    reports = []
    for target in targets_of(args):
        reports.append(check_dataset(target, not args.fast, args.min_area, workers))
        print(reports[-1].as_text(args.examples))
    if args.out:
        content = {'reports': [report.as_json() for report in reports]}
        write_atomically(args.out, (json.dumps(content, indent=1) + '\n').encode())
        print(f'wrote {args.out}')
    return _ERRORS_FOUND if any(r.findings.count('error') for r in reports) else 0


if __name__ == '__main__':
    sys.exit(run_command(main))
