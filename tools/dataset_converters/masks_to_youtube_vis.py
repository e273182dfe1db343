"""Convert folders of mask images, as in DAVIS, to the YouTube-VIS layout.

The mask of JPEGImages/VIDEO/00000.jpg is Annotations/VIDEO/00000.png. In a mask, 0 is background
and every other palette index, gray value or color is one object throughout the video. Images are
not copied: file names are relative to --images, which is the data_prefix of the config.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

from axialvs.data_tools.converters.class_mapping import one_class, read_class_mapping
from axialvs.data_tools.converters.labeled_video import SkipReport
from axialvs.data_tools.converters.mask_folders import IDENTITY_HINT, find_videos, read_all
from axialvs.data_tools.converters.mask_images import MaskReader
from axialvs.data_tools.converters.writing import add_options, check_target, convert
from axialvs.utils.cli import run_command, script_parser

DEFAULT_CLASS = 'object'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument(
        '--images', type=Path, required=True, metavar='DIR', help='folder of frames'
    )
    parser.add_argument('--masks', type=Path, required=True, metavar='DIR', help='folder of masks')
    parser.add_argument(
        '--class-file',
        type=Path,
        metavar='FILE',
        help='JSON or CSV with the class of each object or video; see docs/own_data.md '
        f'(default: all have the class {DEFAULT_CLASS!r}, or --one-class)',
    )
    parser.add_argument(
        '--binary',
        action='store_true',
        help='treat the bright pixels of all frames as one object per video',
    )
    parser.add_argument(
        '--ignore-ids',
        nargs='+',
        type=_object_id,
        default=(),
        metavar='ID',
        help='ids to ignore, such as 255 for "do not care", or #RRGGBB',
    )
    parser.add_argument(
        '--background',
        type=_object_id,
        default=0,
        metavar='ID',
        help='id of the background, such as 255 if objects are black (default: 0)',
    )
    parser.add_argument(
        '--unlabeled',
        choices=('error', 'drop', 'empty'),
        default='error',
        help='a frame without a mask is an error (default), is dropped, or shows no object',
    )
    add_options(parser)
    return parser.parse_args()


def _object_id(text: str) -> int:
    try:
        return int(text[1:], 16) if text.startswith('#') else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is neither a number nor #RRGGBB') from None


def main() -> None:
    """Read the masks and write the file."""
    args = parse_args()
    check_target(args.out, args.overwrite)
    if args.class_file:
        classes = read_class_mapping(args.class_file)
    else:
        classes = one_class(args.one_class or DEFAULT_CLASS)
    skipped = SkipReport()
    videos = find_videos(args.images, args.masks, args.videos, args.unlabeled, args.binary, skipped)
    with tqdm(total=sum(len(video.images) for video in videos), unit='frame') as bar:
        make_reader = partial(MaskReader, args.binary, args.background)
        labeled = read_all(videos, classes, args.ignore_ids, make_reader, skipped, bar.update)
        videos = list(labeled)
    for entry in classes.unused() if args.class_file else ():
        skipped.add('entries of the class file without an object', entry)
    convert(args, videos, classes.listed(), skipped, f'masks in {args.masks}', IDENTITY_HINT)


if __name__ == '__main__':
    sys.exit(run_command(main))
