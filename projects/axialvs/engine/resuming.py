"""Resume a run: find its checkpoint and compare it with the config."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from axialvs.checkpoints.loading import (
    CheckpointError,
    DamagedCheckpointError,
    load_checkpoint_safely,
)
from axialvs.engine.checkpointing import LAST_CHECKPOINT, training_loop

# Regular checkpoints; the best weights lack the optimizer state.
_REGULAR = re.compile(r'(?:iter|epoch)_(\d+)\.pth')
_MAX_LISTED = 6
# Options that older versions of torch do not save.
_VERSIONED_OPTIONS = {
    *('foreach', 'fused', 'capturable', 'differentiable', 'maximize', 'decoupled_weight_decay')
}


def find_resume_checkpoint(work_dir: str | Path) -> Path | None:
    """Find the checkpoint to resume from: the newest intact one.

    It is named by `last_checkpoint`, even if the folder has been moved. If it is truncated or its
    checksums are wrong, or if `last_checkpoint` is missing, earlier checkpoints are tried and a
    warning is logged.

    Returns:
        The path, or None if nothing has been saved yet.

    Raises:
        FileNotFoundError: if the file named by `last_checkpoint` does not exist.
        DamagedCheckpointError: if all checkpoints are corrupted.
    """
    pointer = Path(work_dir) / LAST_CHECKPOINT
    saved = sorted(_regular_checkpoints(pointer.parent), reverse=True)
    name = pointer.read_bytes().strip() if pointer.is_file() else b''
    if not name or b'\0' in name:  # a power cut can leave zeros
        return _newest_whole([path for _, path in saved], f'{pointer} is missing or empty')
    named = Path(os.fsdecode(name))
    path = next((p for p in (named, pointer.parent / named.name) if p.exists()), None)
    if path is None:
        others = ', '.join(map(str, sorted(pointer.parent.glob('*.pth')))) or 'none'
        raise FileNotFoundError(
            f'{pointer} names {named}, which does not exist; choose a checkpoint with --resume '
            f'PATH, in this folder there is {others}'
        )
    fault = _fault_of(path)
    if fault is None:
        return path
    step = _REGULAR.fullmatch(path.name)
    before = [other for number, other in saved if step and number < int(step.group(1))]
    earlier = _newest_whole(before, str(fault))
    if earlier is None:
        raise DamagedCheckpointError(f'{fault}. {pointer.parent} has no earlier one')
    return earlier


def check_resumed_state(runner: Runner, checkpoint: Mapping[str, Any], source: str) -> None:
    """Compare the config's optimizer and schedules with those that resuming restores.

    Logs what differs, as resuming keeps the values of the checkpoint.

    Args:
        runner: after its optimizer and schedules were built.
        checkpoint: to resume from.
        source: name of the checkpoint's file for messages.

    Raises:
        CheckpointError: if the checkpoint has no schedules, or the config's optimizer cannot
            continue from its state.
    """
    saved = checkpoint.get('optimizer')
    if not isinstance(saved, Mapping):
        _check_saved_without_optimizer(runner, checkpoint, source)
        return
    if not isinstance(runner.optim_wrapper, OptimWrapper) or 'param_groups' not in saved:
        return
    theirs, ours = saved['param_groups'], runner.optim_wrapper.optimizer.param_groups
    new_start = (
        f'--resume keeps the optimizer; to train its weights with a new one, use --cfg-options '
        f'load_from={source} without --resume'
    )
    settings, meta = describe_run(runner), checkpoint.get('meta', {})
    ours_named, theirs_named = settings['optimizer'], meta.get('optimizer')
    missing = set(runner.optim_wrapper.optimizer.defaults) - set(theirs[0] if theirs else ())
    if theirs_named not in (None, ours_named) or not theirs or missing - _VERSIONED_OPTIONS:
        options = _options(theirs[0]) if theirs else 'none'
        raise CheckpointError(
            f'{source}: the config has the optimizer {ours_named} and the checkpoint '
            f'{theirs_named or "a different one"} ({options}). {new_start}'
        )
    counts = [[len(group['params']) for group in groups] for groups in (theirs, ours)]
    if counts[0] != counts[1]:
        raise CheckpointError(
            f'{source}: the config trains {sum(counts[1])} tensors in {len(counts[1])} groups and '
            f'the checkpoint {sum(counts[0])} in {len(counts[0])}, so different layers are frozen '
            f'or have their own settings. {new_start}'
        )
    if shapes := _changed_shape(saved, ours):
        raise CheckpointError(
            f'{source}: the optimizer state of a tensor is {shapes[0]}, but the config trains '
            f'{shapes[1]} there, so different layers are frozen or the model differs. {new_start}'
        )
    if names := find_reordered(checkpoint.get('state_dict', {}), runner.model):
        raise CheckpointError(
            f'{source}: its parameter {names[0]} is in the place of {names[1]}, so a different '
            f'version wrote it and the optimizer states do not fit. {new_start}'
        )
    done = meta.get('iter')
    if isinstance(done, int) and done > runner.max_iters:
        raise CheckpointError(
            f'{source} was saved after {done} iterations, but the config trains '
            f'{runner.max_iters}; raise train_cfg.max_iters, or resume from an earlier checkpoint'
        )
    changes = [
        *_changed_options(theirs, ours),
        *_changed_schedules(checkpoint.get('param_schedulers'), runner.param_schedulers),
    ]
    if changes:
        more = f' and {len(changes) - _MAX_LISTED} more' if len(changes) > _MAX_LISTED else ''
        runner.logger.warning(
            f'The config differs from the checkpoint, whose values are kept: '
            f'{"; ".join(changes[:_MAX_LISTED])}{more}. {new_start}'
        )
    step = _REGULAR.fullmatch(Path(source).name)
    if step and isinstance(done, int) and done not in (0, int(step.group(1))):
        runner.logger.warning(
            f'{source} was saved after {done} iterations, though its name says {step.group(1)}: '
            'files were renamed or swapped. Training continues after what the file says'
        )
    clips, clips_before = settings['clips_per_iteration'], meta.get('clips_per_iteration')
    if clips_before not in (None, clips):
        runner.logger.warning(
            f'The config has {clips} clips per iteration and the checkpoint {clips_before}: the '
            'new number is used with the schedule of the checkpoint, and clips are not seen in '
            'the order of an uninterrupted run'
        )


def describe_run(runner: Runner) -> dict[str, Any]:
    """Return what a checkpoint's `meta` holds for `check_resumed_state`; empty in a test."""
    loop = training_loop(runner)
    if loop is None:
        return {}
    batches = get_world_size() * getattr(loop, 'accumulate', 1)
    settings = {'clips_per_iteration': batches * loop.dataloader.batch_size}
    if isinstance(runner.optim_wrapper, OptimWrapper):
        settings['optimizer'] = type(runner.optim_wrapper.optimizer).__name__
    return settings


def _check_saved_without_optimizer(
    runner: Runner, checkpoint: Mapping[str, Any], source: str
) -> None:
    lacks_schedule = bool(runner.param_schedulers) and 'param_schedulers' not in checkpoint
    if lacks_schedule or 'message_hub' not in checkpoint:  # warm-up would start again
        raise CheckpointError(
            f'{source} has weights without the states of optimizer and schedule, as the best and '
            'published ones; resume from a regular checkpoint, iter_N.pth, or start a new run from '
            f'it with --cfg-options load_from={source}'
        )
    runner.logger.warning(
        f'{source} was saved without the state of the optimizer, which starts from zero'
    )


def _changed_shape(
    saved: Mapping[str, Any], ours: Sequence[Mapping[str, Any]]
) -> tuple[list[int], list[int]] | None:
    """Return the first shape of an optimizer state that differs from its parameter's, and that."""
    states = saved.get('state', {})
    for their_group, group in zip(saved['param_groups'], ours, strict=True):
        for index, parameter in zip(their_group['params'], group['params'], strict=True):
            for value in states.get(index, {}).values():
                if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                    return list(value.shape), list(parameter.shape)
    return None


def find_reordered(saved: Mapping[str, Any], model: nn.Module) -> tuple[str, str] | None:
    """Return the first parameter whose position differs: theirs and ours.

    Optimizer states are identified by the order of the parameters, which is that of the weights.
    """
    model = model.module if is_model_wrapper(model) else model
    ours = [name for name, _ in model.named_parameters() if name in saved]
    known = set(ours)
    theirs = [name for name in saved if name in known]
    return next((pair for pair in zip(theirs, ours, strict=True) if pair[0] != pair[1]), None)


def _changed_options(
    theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Describe the options of parameter groups that differ, each once."""
    for name in ours[0]:
        key = 'initial_lr' if name == 'lr' and 'initial_lr' in theirs[0] else name
        if name in ('params', 'initial_lr') or (name == 'lr' and key not in ours[0]):
            continue
        pairs = [
            (_plain(their[key]), _plain(our[key]))
            for their, our in zip(theirs, ours, strict=True)
            if key in their and key in our and _plain(their[key]) != _plain(our[key])
        ]
        if pairs:
            yield f'{name} {pairs[0][0]} (config: {pairs[0][1]})'


def _changed_schedules(theirs: Any, ours: Any) -> Iterator[str]:
    """Describe the settings of schedules that differ."""
    if not isinstance(theirs, list) or not isinstance(ours, list):
        return
    if len(theirs) != len(ours):
        yield f'{len(theirs)} schedules (config: {len(ours)})'
    for their, schedule in zip(theirs, ours, strict=False):
        for name, our in schedule.state_dict().items():
            is_setting = not name.startswith('_') and name not in ('last_step', 'base_values')
            if is_setting and name in their and _plain(their[name]) != _plain(our):
                label = f'{type(schedule).__name__}.{name}'
                yield f'{label} {_plain(their[name])} (config: {_plain(our)})'


def _plain(value: Any) -> Any:
    """Make values comparable, as tuples may have become lists; None for anything nested."""
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, list | tuple):
        flat = [x for item in value for x in (item if isinstance(item, tuple) else (item,))]
        return flat if all(isinstance(x, int | float | str | None) for x in flat) else None
    return value if isinstance(value, int | float | str) else None


def _options(group: Mapping[str, Any]) -> str:
    return ', '.join(name for name in group if name not in ('params', 'initial_lr'))


def _regular_checkpoints(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob('*.pth'):
        if found := _REGULAR.fullmatch(path.name):
            yield int(found.group(1)), path


def _newest_whole(paths: Sequence[Path], reason: str) -> Path | None:
    """Return the first intact checkpoint and log the reason; None if there are no checkpoints."""
    faults = [reason]
    for path in paths:
        fault = _fault_of(path)
        if fault is None:
            text = '; '.join([*faults, f'resuming from {path}, the newest whole checkpoint'])
            print_log(text, logger='current', level=logging.WARNING)
            return path
        faults.append(str(fault))
    if paths:
        raise DamagedCheckpointError('; '.join(faults))
    return None


def _fault_of(path: Path) -> DamagedCheckpointError | None:
    if path.is_dir():  # of a different backend, such as the shards of several processes
        return None
    try:
        load_checkpoint_safely(path, with_data=False)
    except DamagedCheckpointError as error:
        return error
    return None
