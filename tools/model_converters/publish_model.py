"""Extract the weights of a training checkpoint for publication.

Keeps weights, classes, iteration and version; drops optimizer, schedules and logs. With --base,
also drops weights that equal those of a published checkpoint, such as the frozen part of an offline
model; they are loaded from there.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs import __version__
from axialvs.utils.cli import run_command
from axialvs.utils.errors import AxialVSError

if TYPE_CHECKING:
    from torch import Tensor


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, metavar='SRC', help='checkpoint of a training run')
    parser.add_argument(
        'target', type=Path, metavar='DST', help='checkpoint to write, .pth or .safetensors'
    )
    parser.add_argument('--half', action='store_true', help='store weights in half precision')
    parser.add_argument(
        '--base', metavar='NAME', help='drop weights that are equal in the checkpoint NAME'
    )
    parser.add_argument(
        '--run-code-in-source',
        action='store_true',
        help='also load Python objects, which can execute arbitrary code; only for files that you '
        'trust like a program',
    )
    return parser.parse_args()


def main() -> None:
    """Write the smaller checkpoint."""
    args = parse_args()
    import io

    import torch

    from axialvs.checkpoints.hub import ZOO_PREFIX, find_known
    from axialvs.checkpoints.loading import (
        BASE_KEY,
        class_names_of,
        dataset_meta_of,
        load_checkpoint_safely,
        load_trusted_checkpoint,
        state_dict_of,
    )
    from axialvs.checkpoints.safetensors_file import SUFFIX, write_safetensors
    from axialvs.utils.files import write_atomically

    if args.run_code_in_source:
        print(f'warning: running any code in {args.source}', file=sys.stderr)
        checkpoint = load_trusted_checkpoint(args.source)
        classes = class_names_of(checkpoint)  # only plain names, no other metadata
        dataset_meta = {'classes': classes} if classes else {}
    else:
        checkpoint = load_checkpoint_safely(args.source)
        class_names_of(checkpoint)  # an error if they are malformed
        dataset_meta = dataset_meta_of(checkpoint)
    weights = {
        name: plain_weight(name, weight, args.half)
        for name, weight in state_dict_of(checkpoint, args.source).items()
    }
    meta = {
        'dataset_meta': dataset_meta,
        'iter': (checkpoint.get('meta') or {}).get('iter'),
        'axialvs_version': __version__,
    }
    if args.base:
        known = find_known(args.base)
        if known is None:
            raise AxialVSError(f'--base {args.base}: unknown checkpoint; see axialvs models')
        base = ZOO_PREFIX + known.name
        shared = state_dict_of(load_checkpoint_safely(base), base)
        equal = {x for x in weights if x in shared and torch.equal(weights[x], shared[x])}
        meta[BASE_KEY] = {'name': known.name, 'weights': sorted(equal)}
        weights = {name: weight for name, weight in weights.items() if name not in equal}
    if args.target.suffix == SUFFIX:
        write_safetensors(args.target, weights, meta)
    else:
        buffer = io.BytesIO()
        torch.save({'state_dict': weights, 'meta': meta}, buffer)
        write_atomically(args.target, buffer.getvalue())
    print(f'wrote {args.target}: {args.target.stat().st_size / 2**20:.1f} MiB')


def plain_weight(name: str, weight: 'Tensor', half: bool) -> 'Tensor':
    """Return a weight as a plain tensor, which can be loaded without calling functions.

    Raises:
        CheckpointError: if it is complex, or exceeds the range of half precision.
    """
    import torch

    from axialvs.checkpoints.loading import CheckpointError

    weight = weight.detach().as_subclass(torch.Tensor)
    if weight.untyped_storage().nbytes() > weight.numel() * weight.itemsize:
        weight = weight.clone()  # a view: torch.save would write the whole storage
    if not half or not weight.is_floating_point():
        return weight
    halved = weight.half()
    if not halved.isfinite().all():
        raise CheckpointError(
            f'--half: {name} has values up to {weight.abs().max().item():g}, and half precision '
            'ends at 65504; publish without --half'
        )
    return halved


if __name__ == '__main__':
    sys.exit(run_command(main))
