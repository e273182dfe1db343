"""Gradient accumulation and learning-rate scaling for batch sizes that differ from the config's."""

import contextlib
from collections.abc import Iterator

import torch
from mmdet.registry import LOOPS
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from axialvs.utils.errors import AxialVSError


def accumulate_gradients(config: Config, batches: str) -> None:
    """Set `AccumulatingTrainLoop` in a config.

    Raises:
        AxialVSError: if `batches` is not a number, or the config has no base batch size.
    """
    if config.train_cfg.get('type') not in ('IterBasedTrainLoop', 'AccumulatingTrainLoop'):
        raise AxialVSError('--accumulate needs a config whose train_cfg is an IterBasedTrainLoop')
    config.train_cfg.type = 'AccumulatingTrainLoop'
    for of_config in ('accumulate', 'global_batch_size'):
        config.train_cfg.pop(of_config, None)
    if batches == 'auto':
        if base_batch_size(config) is None:
            raise AxialVSError(
                '--accumulate: the config has no auto_scale_lr.base_batch_size; give the batches '
                'per optimizer step, such as --accumulate 4'
            )
        config.train_cfg.global_batch_size = base_batch_size(config)
    elif batches.isdecimal() and int(batches):
        config.train_cfg.accumulate = int(batches)
    else:
        raise AxialVSError(f"--accumulate {batches}: must be a positive integer or 'auto'")


def scale_learning_rate(config: Config) -> None:
    """Enable mmengine's learning-rate scaling, which needs the base batch size."""
    if base_batch_size(config) is None:
        raise AxialVSError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    config.auto_scale_lr.enable = True


def base_batch_size(config: Config) -> int | None:
    """Return the clips per optimizer step that the config's learning rate is for, if known."""
    return config.get('auto_scale_lr', {}).get('base_batch_size')


def warn_of_other_batch(runner: Runner) -> None:
    """Warn if the global batch size differs from the base batch size."""
    config, base = runner.cfg, base_batch_size(runner.cfg)
    is_plain = config.train_cfg.get('type') == 'IterBasedTrainLoop'
    scaled = config.get('auto_scale_lr', {}).get('enable', False)
    clips = get_world_size() * config.train_dataloader.batch_size
    if base in (None, clips) or scaled or not is_plain:
        return
    runner.logger.warning(
        f'The batch has {clips} clips and the learning rate is for {base}: use --accumulate to '
        'keep the batch, or --auto-scale-lr to scale the learning rate'
    )


@LOOPS.register_module()
class AccumulatingTrainLoop(IterBasedTrainLoop):
    """Training loop whose iterations are optimizer steps over several batches.

    mmengine's `accumulative_counts` counts every batch as an iteration: schedules and intervals
    have to be multiplied by hand, and a checkpoint between two batches of a step loses gradients.
    Here iterations in a config keep their meaning, gradients are clipped and losses logged once per
    step, and checkpoints are written between steps. The samplers' order is global, so that an
    iteration sees the same clips for any number of processes and batches.

    Args:
        runner, dataloader, args, kwargs: see `IterBasedTrainLoop`.
        accumulate: batches of each process per iteration.
        global_batch_size: samples of all processes per iteration, instead of `accumulate`.

    Raises:
        AxialVSError: if the global batch is not a multiple of the batches, both or none of the two
            are given, or mmengine's own accumulation or scaling is enabled.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        *args,
        accumulate: int | None = None,
        global_batch_size: int | None = None,
        **kwargs,
    ) -> None:
        if (accumulate is None) == (global_batch_size is None):
            raise AxialVSError(
                'train_cfg: AccumulatingTrainLoop needs either accumulate or global_batch_size'
            )
        super().__init__(runner, dataloader, *args, **kwargs)
        _check_no_other_way(runner)
        processes, batch_size = get_world_size(), self.dataloader.batch_size
        if accumulate is None:
            accumulate = batches_of_step(global_batch_size, processes, batch_size)
        elif accumulate < 1:
            raise AxialVSError(f'accumulate is {accumulate}; 1 or more batches make a step')
        self.accumulate = accumulate
        self.dataloader_iterator = _Groups(self.dataloader_iterator, accumulate)
        runner.logger.info(
            f'Each iteration is one optimizer step: {processes} processes x {accumulate} '
            f'batches x {batch_size} clips = {processes * accumulate * batch_size} clips'
        )

    def run_iter(self, data_batch: list) -> None:
        """Run one optimizer step on a list of batches."""
        hook_arguments = dict(batch_idx=self._iter, data_batch=data_batch)
        self.runner.call_hook('before_train_iter', **hook_arguments)
        outputs = []
        for number, batch in enumerate(data_batch, start=1):
            part = _PartOfStep(self.runner.optim_wrapper, number, self.accumulate)
            outputs.append(self.runner.model.train_step(batch, optim_wrapper=part))
        self.runner.call_hook('after_train_iter', outputs=_means(outputs), **hook_arguments)
        self._iter += 1


def batches_of_step(global_batch_size: int, processes: int, batch_size: int) -> int:
    """Return the batches of each process in the global batch.

    Raises:
        AxialVSError: if that is not an integer.
    """
    at_once = processes * batch_size
    if at_once <= global_batch_size and global_batch_size % at_once == 0:
        return global_batch_size // at_once
    remedy = (
        'give train_dataloader.batch_size and the number of processes a product that divides it'
        if at_once < global_batch_size
        else 'take fewer processes or a smaller train_dataloader.batch_size'
    )
    raise AxialVSError(
        f'a step of {global_batch_size} clips cannot be made of batches of {at_once} clips '
        f'({processes} processes x {batch_size}): {remedy}, or use --auto-scale-lr instead of '
        '--accumulate'
    )


def _check_no_other_way(runner: Runner) -> None:
    if runner.cfg.get('auto_scale_lr', {}).get('enable', False):
        raise AxialVSError('use either --accumulate or --auto-scale-lr, not both')
    if runner.cfg.get('optim_wrapper', {}).get('accumulative_counts', 1) != 1:
        raise AxialVSError(
            'optim_wrapper.accumulative_counts: AccumulatingTrainLoop accumulates by itself; '
            'take it out of the config'
        )


class _Groups:
    """Infinite iterator over lists of batches."""

    def __init__(self, batches, size: int) -> None:
        self.batches, self.size = batches, size

    def __iter__(self) -> '_Groups':
        return self

    def __next__(self) -> list:
        return [next(self.batches) for _ in range(self.size)]

    def skip_iter(self, num_iters: int) -> None:
        """Skip a number of lists."""
        self.batches.skip_iter(num_iters * self.size)


class _PartOfStep:
    """Optimizer wrapper for one of several batches in a model's `train_step`."""

    def __init__(self, wrapper: OptimWrapper, number: int, of: int) -> None:
        self.wrapper, self.number, self.of = wrapper, number, of

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter the wrapper's context; gradients are reduced with the last batch only."""
        # Sharded models reduce with every batch, because whole gradients may not fit in memory.
        waits = self.number < self.of and isinstance(model, DistributedDataParallel)
        alone = model.no_sync() if waits else contextlib.nullcontext()
        with alone, self.wrapper.optim_context(model):
            yield

    def update_params(self, loss: Tensor) -> None:
        """Accumulate gradients, and step after the last batch."""
        self.wrapper.backward(loss / self.of)
        if self.number == self.of:
            self.wrapper.step()
            self.wrapper.zero_grad()


def _means(outputs: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean outputs of a step for the log."""
    return {key: torch.stack([output[key] for output in outputs]).mean() for key in outputs[0]}
