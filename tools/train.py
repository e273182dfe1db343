"""Train a model."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs.engine.options import add_amp_option, add_run_options, parse_run_options
from axialvs.utils.cli import add_config_options, number_from, run_command

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or the name of one in configs/')
    parser.add_argument(
        '--work-dir',
        help="folder of logs and checkpoints (default: the config's work_dir, or work_dirs/CONFIG)",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint, by default the last intact one in the work dir; start from '
        'scratch if there is none',
    )
    add_amp_option(parser)
    batch = parser.add_mutually_exclusive_group()
    batch.add_argument(
        '--accumulate',
        nargs='?',
        const='auto',
        metavar='BATCHES',
        help='accumulate the gradients of several batches per optimizer step, by default as many '
        'as reach the batch size of the config',
    )
    batch.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate with the batch size, relative to the config's",
    )
    parser.add_argument(
        '--fsdp',
        action='store_true',
        help="shard the model's weights, gradients and optimizer state across processes",
    )
    parser.add_argument(
        '--seed',
        type=number_from(0, 2**32 - 1),
        help="random seed (default: the config's randomness.seed, 0 in this project's configs)",
    )
    add_config_options(parser)
    add_run_options(parser)
    return parse_run_options(parser)


def main() -> None:
    """Build a runner from the config and the options, and train."""
    args = parse_args()
    # Imports take seconds, so arguments are parsed first.
    from axialvs.engine.screen import ignore_foreign_warnings

    if not args.verbose:
        ignore_foreign_warnings()
    import axialvs.register  # noqa: F401
    from axialvs.engine import accumulation, amp, launch

    config = launch.load_config(args.config, args.cfg_options, args.work_dir)
    config.verbose = args.verbose
    if args.amp:
        amp.use_in_training(config, args.amp)
    if args.accumulate:
        accumulation.accumulate_gradients(config, args.accumulate)
    if args.auto_scale_lr:
        accumulation.scale_learning_rate(config)
    if args.fsdp:
        config.runner_type = 'ShardedRunner'
    if args.seed is not None:
        config.randomness = {**config.get('randomness', {}), 'seed': args.seed}
    if args.resume:
        resume_from(config, args.resume)
    launch.prepare_processes(config, args.launcher)
    runner = launch.build_runner(config)
    if not (args.accumulate or args.auto_scale_lr):
        accumulation.warn_of_other_batch(runner)
    runner.train()
    del runner  # its model references the process group
    launch.finish_processes()


def resume_from(config: 'Config', checkpoint: str) -> None:
    """Set up the config to resume; 'auto' uses the last checkpoint if there is one."""
    from axialvs.engine.resuming import find_resume_checkpoint

    path = find_resume_checkpoint(config.work_dir) if checkpoint == 'auto' else Path(checkpoint)
    if path is None:
        print(f'{config.work_dir} has no checkpoint yet: starting from the beginning')
        return
    if not path.exists():
        raise FileNotFoundError(f'--resume {checkpoint}: no such checkpoint')
    if path.is_dir():
        raise IsADirectoryError(
            f'--resume {checkpoint}: is a folder; name a checkpoint in it, or give --work-dir '
            f'{checkpoint} --resume to resume from the last one'
        )
    config.resume = True
    config.load_from = str(path)


if __name__ == '__main__':
    sys.exit(run_command(main))
