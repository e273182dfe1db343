"""Makes a checkpoint fit to hand out: publish_model.py SRC DST [--half].

Optimiser, schedules and logs are left out; weights, classes, iteration and version stay.
"""

import argparse
import io
import sys
from pathlib import Path

import torch

from axialvs import __version__
from axialvs.checkpoints import load_checkpoint_safely, state_dict_of
from axialvs.cli import run_command
from axialvs.engine.atomic_backend import write_atomically


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, metavar='SRC', help='checkpoint of a training run')
    parser.add_argument('target', type=Path, metavar='DST', help='checkpoint to write')
    parser.add_argument('--half', action='store_true', help='store weights in half precision')
    return parser.parse_args()


def main() -> None:
    """Writes the smaller checkpoint."""
    args = parse_args()
    checkpoint = load_checkpoint_safely(args.source)
    meta = checkpoint.get('meta', {})
    published = {
        'state_dict': {
            name: weight.half() if args.half and weight.is_floating_point() else weight
            for name, weight in state_dict_of(checkpoint, args.source).items()
        },
        'meta': {
            'dataset_meta': dict(meta.get('dataset_meta') or {}),
            'iter': meta.get('iter'),
            'axialvs_version': __version__,
        },
    }
    buffer = io.BytesIO()
    torch.save(published, buffer)
    write_atomically(args.target, buffer.getvalue())
    print(f'wrote {args.target}: {args.target.stat().st_size / 2**20:.1f} MiB')


if __name__ == '__main__':
    sys.exit(run_command(main))
