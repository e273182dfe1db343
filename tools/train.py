"""Trains a model: python tools/train.py CONFIG [--resume] [--cfg-options KEY=VALUE ...]."""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import Config

import axialvs.register  # noqa: F401 - registers the parts of the package
from axialvs.engine import amp
from axialvs.engine.accumulation import (
    accumulate_gradients,
    scale_learning_rate,
    warn_of_other_batch,
)
from axialvs.engine.checkpointing import find_resume_checkpoint
from axialvs.engine.launch import (
    add_launcher_options,
    build_runner,
    finish_processes,
    load_config,
    prepare_processes,
)
from axialvs.utils.cli import ConfigOptions, run_command


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or the name of one in configs/')
    parser.add_argument(
        '--work-dir',
        help="where logs and checkpoints go (the config's work_dir, else work_dirs/CONFIG)",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint, by default from the last whole one in the work dir; start '
        'from the beginning where there is none',
    )
    amp.add_option(parser)
    batch = parser.add_mutually_exclusive_group()
    batch.add_argument(
        '--accumulate',
        nargs='?',
        const='auto',
        metavar='BATCHES',
        help='take a step of the optimiser every so many batches; by default as many as make the '
        'batch that the config was made for',
    )
    batch.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the batch size in relation to the config's",
    )
    parser.add_argument(
        '--fsdp',
        action='store_true',
        help="share the model's weights, gradients and optimiser state out among processes",
    )
    parser.add_argument(
        '--seed',
        type=_seed,
        help="of all random draws (the config's randomness.seed, 0 in the project's configs; "
        'random where a config has none)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as train_cfg.max_iters=100',
    )
    add_launcher_options(parser)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number from 0 to {(1 << 32) - 1}')
    return int(text)


def main() -> None:
    """Builds a runner from the config and the options, and trains."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, args.work_dir)
    if args.amp:
        amp.use_in_training(config, args.amp)
    if args.accumulate:
        accumulate_gradients(config, args.accumulate)
    if args.auto_scale_lr:
        scale_learning_rate(config)
    if args.fsdp:
        config.runner_type = 'ShardedRunner'
    if args.seed is not None:
        config.randomness = {**config.get('randomness', {}), 'seed': args.seed}
    if args.resume:
        resume_from(config, args.resume)
    prepare_processes(config, args.launcher)
    runner = build_runner(config)
    if not (args.accumulate or args.auto_scale_lr):
        warn_of_other_batch(runner)
    runner.train()
    del runner  # with the model's hold on the process group
    finish_processes()


def resume_from(config: Config, checkpoint: str) -> None:
    """Has the run go on from a checkpoint; 'auto' means the last one, if there is one."""
    path = find_resume_checkpoint(config.work_dir) if checkpoint == 'auto' else Path(checkpoint)
    if path is None:
        print(f'{config.work_dir} has no checkpoint yet: starting from the beginning')
        return
    if not path.exists():
        raise FileNotFoundError(f'--resume {checkpoint}: there is no such checkpoint')
    if path.is_dir():
        raise IsADirectoryError(
            f'--resume {checkpoint}: is a folder; name a checkpoint in it, or give --work-dir '
            f'{checkpoint} --resume to go on from the last one'
        )
    config.resume = True
    config.load_from = str(path)


if __name__ == '__main__':
    sys.exit(run_command(main))
