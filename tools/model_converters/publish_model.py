"""Makes a checkpoint fit to hand out: publish_model.py SRC DST [--half].

Optimiser, schedules and logs are left out; weights, classes, iteration and version stay. All that
is written can be read without running code. No tool reads a source that takes code to read, but
this one where --run-code-in-source says so.
"""

import argparse
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from axialvs import __version__
from axialvs.checkpoints.loading import (
    class_names_of,
    load_checkpoint_safely,
    load_trusted_checkpoint,
    state_dict_of,
)
from axialvs.utils.cli import run_command
from axialvs.utils.files import write_atomically


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, metavar='SRC', help='checkpoint of a training run')
    parser.add_argument('target', type=Path, metavar='DST', help='checkpoint to write')
    parser.add_argument('--half', action='store_true', help='store weights in half precision')
    parser.add_argument(
        '--run-code-in-source',
        action='store_true',
        help='also read what holds Python objects, which can run any code with your rights: only '
        'for a file that you trust as a program',
    )
    return parser.parse_args()


def main() -> None:
    """Writes the smaller checkpoint."""
    args = parse_args()
    if args.run_code_in_source:
        print(f'warning: code that {args.source} may hold is run now', file=sys.stderr)
        checkpoint = load_trusted_checkpoint(args.source)
        classes = class_names_of(checkpoint)  # plain, whatever else there is
        dataset_meta = {'classes': classes} if classes else {}
    else:
        checkpoint = load_checkpoint_safely(args.source)
        dataset_meta = dict((checkpoint.get('meta') or {}).get('dataset_meta') or {})
    published = {
        'state_dict': {
            name: weight.half() if args.half and weight.is_floating_point() else weight
            for name, weight in plain_weights(checkpoint, args.source).items()
        },
        'meta': {
            'dataset_meta': dataset_meta,
            'iter': (checkpoint.get('meta') or {}).get('iter'),
            'axialvs_version': __version__,
        },
    }
    buffer = io.BytesIO()
    torch.save(published, buffer)
    write_atomically(args.target, buffer.getvalue())
    print(f'wrote {args.target}: {args.target.stat().st_size / 2**20:.1f} MiB')


def plain_weights(checkpoint: Mapping[str, Any], source: Path) -> dict[str, torch.Tensor]:
    """The weights as tensors and nothing more; parameters take a pickled function to rebuild."""
    weights = state_dict_of(checkpoint, source)
    return {name: weight.detach().as_subclass(torch.Tensor) for name, weight in weights.items()}


if __name__ == '__main__':
    sys.exit(run_command(main))
