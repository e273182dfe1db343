"""Counts a config's work and parameters for one clip: get_flops.py CONFIG --shape T H W.

A multiply-add counts as one. `as defined` are the operations that the papers write down, for
comparison with other models; `executed` is what runs here. Nothing is computed, so any size takes
seconds and no memory. benchmark.py measures time and memory.
"""

import argparse
import sys
from pathlib import Path

from axialvs.apis import init_segmenter
from axialvs.profiling.model_costs import work_of_clip
from axialvs.profiling.tables import markdown
from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_config


def main() -> None:
    """Counts and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=3,
        default=(5, 384, 640),
        metavar=('T', 'H', 'W'),
        help='frames of the clip and their padded size (5 384 640)',
    )
    args = parser.parse_args()
    if min(args.shape) < 1:
        parser.error('--shape: at least 1 each')
    rows = [
        {
            'config': Path(config).stem,
            # Tensors there have shapes and no values.
            **work_of_clip(init_segmenter(find_config(config), device='meta'), *args.shape),
        }
        for config in args.configs
    ]
    print(markdown(rows))


if __name__ == '__main__':
    sys.exit(run_command(main))
