"""Evaluate a checkpoint on the test set of its config."""

import argparse
import sys

from axialvs.engine.options import add_amp_option, add_run_options, parse_run_options
from axialvs.utils.cli import add_config_options, run_command
from axialvs.utils.files import output_file


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or the name of one in configs/')
    parser.add_argument('checkpoint', help='checkpoint file, or a name listed by axialvs models')
    parser.add_argument(
        '--work-dir', help="folder of the log (default: the config's work_dir, or work_dirs/CONFIG)"
    )
    parser.add_argument(
        '--out', metavar='METRICS.json', type=output_file, help='also write the scores to this file'
    )
    add_amp_option(parser)
    add_config_options(parser, 'test_evaluator.classwise=True')
    add_run_options(parser)
    return parse_run_options(parser)


def main() -> None:
    """Build a runner from the config, load the checkpoint into its model, and test."""
    args = parse_args()
    # Imports take seconds, so arguments are parsed first.
    from axialvs.engine.screen import ignore_foreign_warnings

    if not args.verbose:
        ignore_foreign_warnings()
    import json

    from mmengine.dist import is_main_process
    from mmengine.model import is_model_wrapper

    import axialvs.register  # noqa: F401
    from axialvs.checkpoints.hub import resolve_checkpoint
    from axialvs.checkpoints.loading import load_weights
    from axialvs.engine import amp, launch
    from axialvs.utils.files import write_atomically

    config = launch.load_config(args.config, args.cfg_options, args.work_dir)
    config.verbose = args.verbose
    if args.amp:
        amp.use_in_test(config, args.amp)
    checkpoint = resolve_checkpoint(args.checkpoint)
    config.load_from = None  # loaded below, with strict matching
    launch.prepare_processes(config, args.launcher)
    runner = launch.build_runner(config)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    report = load_weights(model, checkpoint)
    runner.logger.info(f'Weights: {checkpoint}: {report.summary()}', extra={'shown': True})
    metrics = runner.test()
    if args.out and is_main_process():
        text = json.dumps(metrics, indent=2, default=float) + '\n'
        write_atomically(args.out, text.encode())
        runner.logger.info(f'Scores written to {args.out}', extra={'shown': True})
    del runner, model  # they reference the process group
    launch.finish_processes()


if __name__ == '__main__':
    sys.exit(run_command(main))
