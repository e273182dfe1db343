"""Convert a checkpoint of the public release.

The tensors of SRC are renamed and must match those of the config's model one to one; otherwise
nothing is written and the mismatches are listed. Supports Tube-Link and Video-kMaX, including its
COCO stages. The config is inferred from the method, the backbone, and the numbers of classes,
queries and cross-clip blocks.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs.utils.cli import run_command, script_parser

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor

    from axialvs.checkpoints.release import ReleaseModel

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('source', type=Path, metavar='SRC', help='checkpoint of the release')
    parser.add_argument('target', type=Path, metavar='DST', help='checkpoint to write')
    parser.add_argument('--config', type=Path, help='config of the model (default: inferred)')
    parser.add_argument('--quiet', action='store_true', help='do not list the tensors')
    return parser.parse_args()


def main() -> None:
    """Read, convert, report and write."""
    args = parse_args()
    from mmdet.registry import MODELS

    import axialvs.register  # noqa: F401
    from axialvs.checkpoints.loading import class_names_of, load_checkpoint_safely, state_dict_of
    from axialvs.checkpoints.release import convert_release, recognize

    checkpoint = load_checkpoint_safely(args.source)
    weights = state_dict_of(checkpoint, args.source)
    release = recognize(weights)
    print(f'{args.source}: {describe(release)}')
    config = choose_config(release, args.config)
    converted, our_name = convert_release(weights, MODELS.build(config.model).state_dict())
    renamed = {name: ours for name, ours in our_name.items() if name != ours}
    if not args.quiet:
        for name, ours in our_name.items():
            print(f'{name} -> {ours}' if name in renamed else f'{name} (kept)')
    left_out = [name for name in weights if name not in our_name]
    if left_out:
        print(
            f'dropped {len(left_out)} tensors of the auxiliary semantic head, which this model '
            f'does not have: {left_out[0]} ...'
        )
    print(f'mapped all {len(our_name)} tensors, {len(renamed)} of them renamed')
    write(args.target, converted, args.source.name, class_names_of(checkpoint))
    print(f'written to {args.target}')


def describe(release: 'ReleaseModel') -> str:
    """Describe a checkpoint in one line."""
    parts = [
        release.method,
        release.backbone,
        f'{release.num_classes} classes',
        f'{release.num_queries} queries',
    ]
    if release.num_blocks:
        parts.append(f'{release.num_blocks} blocks of cross-clip tracking')
    return ', '.join(parts)


def choose_config(release: 'ReleaseModel', chosen: Path | None) -> 'Config':
    """Load and print the config of the checkpoint's model.

    If the numbers of the checkpoint differ from those of the config, they are overridden and
    printed as options, which are also needed by the commands that use the weights.

    Raises:
        ConversionError: if no config is known for the model.
    """
    from axialvs.checkpoints.release import ConversionError
    from axialvs.engine.launch import load_config

    if chosen is not None:
        print(f'model: {chosen}')
        return load_config(chosen)
    if release.config is None or not (CONFIGS / release.config).is_file():
        raise ConversionError(
            f'no config is known for {release.method} with backbone {release.backbone}; '
            'name one with --config'
        )
    config = load_config(CONFIGS / release.config)
    changes = release.changes_to(config.model.panoptic_head)
    changes = {f'model.panoptic_head.{name}': value for name, value in changes.items()}
    config.merge_from_dict(changes)
    print(f'model: {CONFIGS / release.config}')
    for other in release.configs[1:]:
        print(f'  or, for another test set: {CONFIGS / other}')
    if changes:
        import shlex

        options = [f'{name}={value}'.replace(' ', '') for name, value in changes.items()]
        print(f'  with --cfg-options {shlex.join(options)}')
    return config


def write(
    path: Path, weights: 'dict[str, Tensor]', source: str, classes: tuple[str, ...] | None
) -> None:
    """Write a checkpoint in mmengine's layout."""
    import io

    import torch

    from axialvs.utils.files import write_atomically

    meta = {'converted_from': source}
    if classes:
        meta['dataset_meta'] = {'classes': classes}
    with io.BytesIO() as buffer:
        torch.save({'meta': meta, 'state_dict': weights}, buffer)
        write_atomically(path, buffer.getvalue())


if __name__ == '__main__':
    sys.exit(run_command(main))
