"""Convert VIPSeg to 720P, the size at which results are reported.

ROOT has the downloaded files: imgs, panomasks, train.txt, val.txt and panoVIPSeg_categories.json.
Images, panomasksRGB, panoptic_gt_VIPSeg_train.json and panoptic_gt_VIPSeg_val.json are written to
DIR. Label 200, a known error of the dataset, becomes void. The same command resumes an interrupted
run.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

from axialvs.data_tools.converters.vipseg import check_source, convert_split
from axialvs.utils.cli import number_from, run_command, script_parser
from axialvs.utils.files import read_utf8


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('root', metavar='ROOT', type=Path)
    parser.add_argument('--out', metavar='DIR', type=Path, required=True)
    parser.add_argument('--splits', nargs='+', default=['train', 'val'], metavar='NAME')
    parser.add_argument(
        '--categories',
        type=Path,
        metavar='FILE.json',
        help='default: ROOT/panoVIPSeg_categories.json',
    )
    parser.add_argument(
        '--height',
        type=number_from(1, 2**15),
        default=720,
        help='height of frames in pixels (default: 720)',
    )
    parser.add_argument('--workers', type=number_from(1), help='threads (default: one per core)')
    return parser.parse_args()


def main() -> None:
    """Convert the splits."""
    args = parse_args()
    workers = args.workers or len(os.sched_getaffinity(0))
    categories = args.categories or args.root / 'panoVIPSeg_categories.json'
    videos = {split: _read_list(args.root / f'{split}.txt') for split in args.splits}
    check_source(args.root, [name for names in videos.values() for name in names], categories)
    for split, names in videos.items():
        bar = partial(tqdm, unit='video', desc=split)
        done = convert_split(
            args.root, args.out, names, split, categories, args.height, workers, bar
        )
        print(
            f'{done.path}: {len(names)} videos, {done.num_frames} frames, {done.num_present} of '
            f'them from an earlier run; {done.mislabeled} pixels of label 200 became void'
        )


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such list of videos; is this the folder of VIPSeg?')
    return read_utf8(path).split()


if __name__ == '__main__':
    sys.exit(run_command(main))
