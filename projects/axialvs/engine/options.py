"""Options shared by several tools. Has no slow imports, to keep `--help` fast."""

import argparse
import os

_LAUNCHERS = ('none', 'pytorch', 'slurm')


def add_amp_option(parser: argparse._ActionsContainer) -> None:
    """Add `--amp`, 'auto' if it is given without a type."""
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'float16', 'bfloat16'),
        help='mixed precision, by default the fastest type of the device; float16 needs a GPU',
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add `--verbose`, `--launcher`, and the rank that old versions of torch's launcher pass."""
    parser.add_argument('--verbose', action='store_true', help='print the whole log to the screen')
    parser.add_argument(
        '--launcher',
        choices=_LAUNCHERS,
        default='none',
        help='what started this process: pytorch (dist_*.sh) or slurm (slurm_*.sh)',
    )
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)


def parse_run_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line and set the rank for torch's launcher."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
