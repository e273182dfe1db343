"""Write pictures of augmented training clips: browse_dataset.py CONFIG --out DIR

One picture per clip, its frames side by side, with masks in the colors of their instance ids,
class names and ids. The clips are the first ones that training with this config sees, in the same
order and with the same augmentation.
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

from axialvs.utils.cli import add_config_options, number_from, run_command, script_parser
from axialvs.utils.errors import AxialVSError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('--out', metavar='DIR', type=Path, default=Path('work_dirs/browse'))
    parser.add_argument('--clips', type=number_from(1), default=16, help='how many (default: 16)')
    parser.add_argument(
        '--start', type=number_from(0), default=0, help='position of the first clip'
    )
    parser.add_argument(
        '--seed', type=number_from(0, 2**32 - 1), help="seed of the run (default: the config's)"
    )
    parser.add_argument(
        '--height', type=number_from(1, 2**15), default=360, help='height of a frame in pixels'
    )
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Draw the clips and write them as images."""
    args = parse_args()
    if args.out.exists() and not args.out.is_dir():
        raise AxialVSError(f'--out {args.out}: is a file; choose a folder for the images.')
    # Deferred, so that arguments are checked before slow imports.
    import cv2
    from tqdm import tqdm

    from axialvs.data_tools.from_config import training_data
    from axialvs.visualization.contact_sheet import contact_sheet

    dataset, sampler = training_data(args.config, args.cfg_options, args.seed)
    sampler.skip(args.start)
    args.out.mkdir(parents=True, exist_ok=True)
    for index in tqdm(islice(sampler, args.clips), total=args.clips, unit='clip'):
        sample = dataset[index]
        sheet = contact_sheet(sample, dataset.metainfo['classes'], args.height)
        path = args.out / f'clip_{index.position:06d}.jpg'
        if not cv2.imwrite(str(path), sheet[..., ::-1]):
            raise OSError(f'{path}: the picture cannot be written.')
    print(f'{args.clips} clips are in {args.out}')


if __name__ == '__main__':
    sys.exit(run_command(main))
