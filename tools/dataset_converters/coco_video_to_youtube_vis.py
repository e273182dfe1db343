"""Convert COCO annotations with videos to the YouTube-VIS layout.

Reads mmdet's CocoVID (frame_id, instance_id) and TAO's layout (frame_index, track_id), with
polygons or RLE. Files in the YouTube-VIS layout need no conversion.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from axialvs.data_tools.converters.coco_video import IDENTITY_HINT, read_all, read_coco_videos
from axialvs.data_tools.converters.labeled_video import SkipReport
from axialvs.data_tools.converters.writing import add_options, check_target, convert
from axialvs.utils.cli import run_command, script_parser


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('annotations', type=Path, metavar='ANNOTATIONS.json')
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help='folder that file names are relative to, to check existence and size of every image',
    )
    parser.add_argument(
        '--allow-boxes',
        action='store_true',
        help='use the box of an annotation without a mask as its mask, and count it',
    )
    add_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the annotations and write the file."""
    args = parse_args()
    check_target(args.out, args.overwrite)
    skipped = SkipReport()
    source = read_coco_videos(args.annotations, args.videos, skipped)
    with tqdm(total=sum(map(len, source.frames.values())), unit='frame') as bar:
        videos = list(read_all(source, args.images, args.allow_boxes, skipped, bar.update))
    convert(
        args,
        videos,
        list(source.class_names.values()),
        skipped,
        str(args.annotations),
        IDENTITY_HINT,
    )


if __name__ == '__main__':
    sys.exit(run_command(main))
