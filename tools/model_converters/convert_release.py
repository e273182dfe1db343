"""Converts a checkpoint of the public release: convert_release.py SRC DST [--config CONFIG].

Every tensor of SRC gets the name that it has in this project, and every tensor of the model that
CONFIG builds has to be found; otherwise nothing is written and the names are listed. The config is
recognised by method, backbone, classes, queries and blocks of the cross-clip tracking module.
"""

import argparse
import io
import shlex
import sys
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config

import axialvs.register  # noqa: F401 - registers the parts of the package
from axialvs.checkpoints.loading import class_names_of, load_checkpoint_safely, state_dict_of
from axialvs.checkpoints.release import (
    ConversionError,
    ReleaseModel,
    convert_release,
    recognise,
)
from axialvs.engine.launch import load_config
from axialvs.utils.cli import run_command
from axialvs.utils.files import write_atomically

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, metavar='SRC', help='checkpoint of the release')
    parser.add_argument('target', type=Path, metavar='DST', help='checkpoint to write')
    parser.add_argument('--config', type=Path, help='config of the model, recognised by default')
    parser.add_argument('--quiet', action='store_true', help='do not list the tensors')
    return parser.parse_args()


def main() -> None:
    """Reads, converts, reports and writes."""
    args = parse_args()
    checkpoint = load_checkpoint_safely(args.source)
    weights = state_dict_of(checkpoint, args.source)
    release = recognise(weights)
    print(f'{args.source}: {describe(release)}')
    config = choose_config(release, args.config)
    converted, our_name = convert_release(weights, MODELS.build(config.model).state_dict())
    renamed = {name: ours for name, ours in our_name.items() if name != ours}
    if not args.quiet:
        for name, ours in our_name.items():
            print(f'{name} -> {ours}' if name in renamed else f'{name} (kept)')
    print(f'{len(our_name)} tensors mapped, {len(renamed)} of them renamed; none is left over')
    write(args.target, converted, args.source.name, class_names_of(checkpoint))
    print(f'written to {args.target}')


def describe(release: ReleaseModel) -> str:
    """What a checkpoint holds, in a line."""
    parts = [
        release.method,
        release.backbone,
        f'{release.num_classes} classes',
        f'{release.num_queries} queries',
    ]
    if release.num_blocks:
        parts.append(f'{release.num_blocks} blocks of cross-clip tracking')
    return ', '.join(parts)


def choose_config(release: ReleaseModel, chosen: Path | None) -> Config:
    """The config whose model the checkpoint has to fill, which it prints.

    A config that was recognised by the network takes over numbers that the checkpoint has
    differently; what is printed with it has to be given to the commands that use the weights.

    Raises:
        ConversionError: No config is known for the network.
    """
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
        options = [f'{name}={value}'.replace(' ', '') for name, value in changes.items()]
        print(f'  with --cfg-options {shlex.join(options)}')
    return config


def write(
    path: Path, weights: dict[str, torch.Tensor], source: str, classes: tuple[str, ...] | None
) -> None:
    """Writes a checkpoint as mmengine has them, whole or not at all."""
    meta = {'converted_from': source}
    if classes:
        meta['dataset_meta'] = {'classes': classes}
    with io.BytesIO() as buffer:
        torch.save({'meta': meta, 'state_dict': weights}, buffer)
        write_atomically(path, buffer.getvalue())


if __name__ == '__main__':
    sys.exit(run_command(main))
