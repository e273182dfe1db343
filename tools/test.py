"""Scores a checkpoint on the config's test set: python tools/test.py CONFIG CHECKPOINT."""

import argparse
import json
import os
import sys
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper

import axialvs.register  # noqa: F401 - registers the parts of the package
from axialvs.checkpoints.hub import resolve_checkpoint
from axialvs.checkpoints.loading import load_weights
from axialvs.engine import amp
from axialvs.engine.launch import (
    add_launcher_options,
    build_runner,
    finish_processes,
    load_config,
    prepare_processes,
)
from axialvs.utils.cli import ConfigOptions, run_command
from axialvs.utils.files import output_file, write_atomically


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or the name of one in configs/')
    parser.add_argument('checkpoint', help='checkpoint file, or the name of a known one')
    parser.add_argument(
        '--work-dir', help="where the log goes (the config's work_dir, else work_dirs/CONFIG)"
    )
    parser.add_argument(
        '--out', metavar='METRICS.json', type=output_file, help='also write the scores to this file'
    )
    amp.add_option(parser)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as test_evaluator.classwise=True',
    )
    add_launcher_options(parser)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Builds a runner from the config, loads the checkpoint into its model, and tests."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, args.work_dir)
    if args.amp:
        amp.use_in_test(config, args.amp)
    checkpoint = resolve_checkpoint(args.checkpoint)
    config.load_from = None  # loaded below, where it has to fit
    prepare_processes(config, args.launcher)
    runner = build_runner(config)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    report = load_weights(model, checkpoint)
    runner.logger.info(f'{checkpoint}: {report.summary()}')
    metrics = runner.test()
    if args.out and is_main_process():
        write_metrics(args.out, metrics)
    del runner, model  # with the model's hold on the process group
    finish_processes()


def write_metrics(path: Path, metrics: dict) -> None:
    """Writes the scores as JSON."""
    write_atomically(path, (json.dumps(metrics, indent=2, default=float) + '\n').encode())


if __name__ == '__main__':
    sys.exit(run_command(main))
