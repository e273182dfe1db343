"""Print a run's model, data, progress and outputs to the screen."""

import time
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from axialvs.engine.checkpointing import LAST_CHECKPOINT


@HOOKS.register_module()
class ProgressHook(Hook):
    """Print model, data and output folder, the first iteration, and a line every few seconds.

    The lines of the log file are not affected, see mmengine's `LoggerHook`.

    Args:
        seconds: interval between lines.
    """

    priority = 'VERY_LOW'  # after the hooks that collect times and losses

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self._started = 0.0
        self._shown = -float('inf')

    def before_train(self, runner: Runner) -> None:
        """Describe the run."""
        self._started = time.monotonic()
        runner.logger.info(f'Model: {_describe_model(runner)}')
        runner.logger.info(f'Training data: {_describe_data(runner.train_dataloader)}')
        runner.logger.info(f'Output: {runner.work_dir}; log: {_log_file(runner)}')

    def before_test(self, runner: Runner) -> None:
        """Describe the test."""
        runner.logger.info(f'Model: {_describe_model(runner)}')
        runner.logger.info(f'Test data: {_describe_data(runner.test_dataloader)}')

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        self._shown = -float('inf')

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = 'train',
    ) -> None:
        if time.monotonic() - self._shown < self.seconds:
            return
        self._shown = time.monotonic()
        _, line = runner.log_processor.get_log_after_iter(runner, batch_idx, mode)
        runner.logger.info(line, extra={'screen_only': True})

    def after_train(self, runner: Runner) -> None:
        """Name what was written."""
        minutes = (time.monotonic() - self._started) / 60
        pointer = Path(runner.work_dir) / LAST_CHECKPOINT
        last = pointer.read_text().strip() if pointer.is_file() else 'none'
        runner.logger.info(
            f'Finished {runner.iter} iterations after {minutes:.1f} min; last checkpoint: {last}'
        )


def _describe_model(runner: Runner) -> str:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    parameters = list(model.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad) / 1e6
    total = sum(p.numel() for p in parameters) / 1e6
    device = parameters[0].device if parameters else 'no device'
    return f'{type(model).__name__}, {total:.1f} M parameters, {trained:.1f} M trained, on {device}'


def _describe_data(loader: DataLoader) -> str:
    dataset = loader.dataset
    source = getattr(dataset, 'ann_file', None) or type(dataset).__name__
    return f'{source}, {len(dataset)} samples, {loader.batch_size} per batch and process'


def _log_file(runner: Runner) -> str:
    return str(Path(runner.log_dir) / f'{runner.timestamp}.log')
