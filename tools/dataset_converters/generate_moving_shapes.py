"""Generate videos of moving shapes in the layout of YouTube-VIS or, level panoptic, of VIPSeg."""

import argparse
import sys
from collections.abc import Iterable

from tqdm import tqdm

from axialvs.datasets.moving_shapes import LEVELS, generate_dataset
from axialvs.utils.cli import run_command


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"invalid size '{text}'; use WIDTHxHEIGHT, for example 160x96"
        ) from error
    return width, height


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='folder to create, with train/ and valid/')
    parser.add_argument('--level', default='demo', choices=list(LEVELS), help='default: demo')
    parser.add_argument('--train', type=int, default=400, help='training videos (default: 400)')
    parser.add_argument('--valid', type=int, default=40, help='validation videos (default: 40)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--size', type=_size, metavar='WxH', help="default: the level's")
    parser.add_argument(
        '--frames', type=int, metavar='N', help="frames of a video (default: the level's)"
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the existing dataset')
    return parser.parse_args()


def _progress_bar(videos: Iterable, total: int) -> Iterable:
    return tqdm(videos, total=total, unit='video')


def main() -> None:
    args = parse_args()
    out = generate_dataset(
        args.out,
        level=args.level,
        num_train=args.train,
        num_valid=args.valid,
        seed=args.seed,
        size=args.size,
        num_frames=args.frames,
        overwrite=args.overwrite,
        progress=_progress_bar,
    )
    print(f'{args.train} training and {args.valid} validation videos are in {out}')


if __name__ == '__main__':
    sys.exit(run_command(main))
