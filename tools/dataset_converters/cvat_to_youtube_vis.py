"""Convert exports in the format "CVAT for video 1.1" to the YouTube-VIS layout.

Takes one or more files, or the export of a project. The frames of a task are in a folder with its
name in --images, or in --images itself if there is only one task. Polygons, masks and ellipses are
converted to masks. Boxes are an error without --allow-boxes.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from axialvs.data_tools.converters.cvat import IDENTITY_HINT, read_all
from axialvs.data_tools.converters.cvat_tasks import read_cvat_videos
from axialvs.data_tools.converters.labeled_video import SkipReport
from axialvs.data_tools.converters.writing import add_options, check_target, convert
from axialvs.utils.cli import run_command, script_parser


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('annotations', nargs='+', type=Path, metavar='ANNOTATIONS.xml')
    parser.add_argument(
        '--images', type=Path, required=True, metavar='DIR', help='folder of frames'
    )
    parser.add_argument(
        '--allow-boxes', action='store_true', help='use boxes as masks, and count them'
    )
    add_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the tracks and write the file."""
    args = parse_args()
    check_target(args.out, args.overwrite)
    skipped = SkipReport()
    source = read_cvat_videos(args.annotations, args.videos)
    with tqdm(total=sum(len(task.tracks) for task in source.tasks), unit='track') as bar:
        videos = list(read_all(source, args.images, args.allow_boxes, skipped, bar.update))
    convert(
        args,
        videos,
        list(source.labels.values()),
        skipped,
        ', '.join(map(str, args.annotations)),
        IDENTITY_HINT,
    )


if __name__ == '__main__':
    sys.exit(run_command(main))
