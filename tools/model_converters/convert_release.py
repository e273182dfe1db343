"""Converts a checkpoint of the public release: convert_release.py SRC DST [--config CONFIG].

Every tensor of SRC gets the name that it has in this project, and every tensor of the model that
CONFIG builds has to be found; otherwise nothing is written and the names are listed.
"""

import argparse
import io
import sys
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from axialvs.checkpoints import class_names_of, load_checkpoint_safely, state_dict_of
from axialvs.checkpoints.release_conversion import (
    ConversionError,
    ReleaseModel,
    convert_release,
    recognise,
)
from axialvs.cli import run_command
from axialvs.engine.atomic_backend import write_atomically
from axialvs.engine.launch import load_config

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
    config_path, config = choose_config(release, args.config)
    print(f'{args.source}: {release.method}, {release.backbone}, {release.num_classes} classes')
    print(f'model: {config_path}')
    converted, our_name = convert_release(weights, MODELS.build(config.model).state_dict())
    renamed = {name: ours for name, ours in our_name.items() if name != ours}
    if not args.quiet:
        for name, ours in our_name.items():
            print(f'{name} -> {ours}' if name in renamed else f'{name} (kept)')
    print(f'{len(our_name)} tensors mapped, {len(renamed)} of them renamed; none is left over')
    write(args.target, converted, args.source.name, class_names_of(checkpoint))
    print(f'written to {args.target}')


def choose_config(release: ReleaseModel, chosen: Path | None) -> tuple[Path, Config]:
    """The config whose model the checkpoint has to fill.

    A config that was recognised by the network takes over the checkpoint's number of classes.

    Raises:
        ConversionError: No config is known for the network.
    """
    if chosen is not None:
        return chosen, load_config(chosen)
    if release.config is None or not (CONFIGS / release.config).is_file():
        raise ConversionError(
            f'no config is known for {release.method} with backbone {release.backbone}; '
            'name one with --config'
        )
    path = CONFIGS / release.config
    config = load_config(path)
    head = config.model.panoptic_head
    head.num_things_classes = release.num_classes
    head.loss_cls.class_weight = [1.0] * release.num_classes + [head.loss_cls.class_weight[-1]]
    return path, config


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
