"""Trains a model: python tools/train.py CONFIG [--resume] [--cfg-options KEY=VALUE ...]."""

import argparse
import os
import sys
from pathlib import Path

import torch
from mmengine.config import Config, DictAction

from axialvs.cli import run_command
from axialvs.engine.launch import (
    LAUNCHERS,
    build_runner,
    finish_processes,
    load_config,
    prepare_processes,
)
from axialvs.engine.resume_point import find_resume_checkpoint


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, see configs/')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (work_dirs/CONFIG)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint, by default from the last one in the work dir, if any',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'float16', 'bfloat16'),
        help='mixed precision, by default in bfloat16 where the device has it; float16 needs a GPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the batch size in relation to the config's",
    )
    parser.add_argument('--seed', type=int, help='makes a run repeatable; random by default')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as train_cfg.max_iters=100',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Builds a runner from the config and the options, and trains."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, args.work_dir)
    if args.amp:
        use_mixed_precision(config, args.amp)
    if args.auto_scale_lr:
        scale_learning_rate(config)
    if args.seed is not None:
        config.randomness = {**config.get('randomness', {}), 'seed': args.seed}
    if args.resume:
        resume_from(config, args.resume)
    prepare_processes(config, args.launcher)
    try:
        build_runner(config).train()
    finally:
        finish_processes()


def use_mixed_precision(config: Config, dtype: str) -> None:
    """Turns the optimiser's wrapper into the one for 'float16', 'bfloat16' or what suits best.

    Raises:
        ValueError: The device does not have the type.
    """
    has_gpu = torch.cuda.is_available()
    has_bfloat16 = not has_gpu or torch.cuda.is_bf16_supported(including_emulation=False)
    if dtype == 'auto':
        dtype = 'bfloat16' if has_bfloat16 else 'float16'
    if dtype == 'bfloat16':
        if not has_bfloat16:
            raise ValueError('--amp bfloat16: this GPU does not have it; use --amp float16')
        config.optim_wrapper.type = 'Bfloat16OptimWrapper'
        config.optim_wrapper.pop('loss_scale', None)
        return
    if not has_gpu:
        raise ValueError('--amp float16 needs a GPU and none was found; use --amp bfloat16')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.dtype = 'float16'
    config.optim_wrapper.setdefault('loss_scale', 'dynamic')


def scale_learning_rate(config: Config) -> None:
    """Turns mmengine's scaling on, which needs the batch size that the config was made for."""
    if 'base_batch_size' not in config.get('auto_scale_lr', {}):
        raise ValueError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    config.auto_scale_lr.enable = True


def resume_from(config: Config, checkpoint: str) -> None:
    """Has the run go on from a checkpoint; 'auto' means the last one, if there is one."""
    path = find_resume_checkpoint(config.work_dir) if checkpoint == 'auto' else Path(checkpoint)
    if path is None:
        print(f'{config.work_dir} has no checkpoint yet: starting from the beginning')
        return
    if not path.exists():
        raise FileNotFoundError(f'--resume {path}: there is no such checkpoint')
    config.resume = True
    config.load_from = str(path)


if __name__ == '__main__':
    sys.exit(run_command(main))
