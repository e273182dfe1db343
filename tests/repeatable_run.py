"""A short training of the tiny segmenter that is independent of the number of processes."""

from pathlib import Path

import torch
from mmengine import Config

import fixed_points  # noqa: F401 - registers the head
from axialvs.checkpoints.loading import load_checkpoint_safely
from generated_videos import point_at
from tiny_segmenter import tiny_config, tiny_segmenter

SEED = 3


def write_start(folder: Path) -> Path:
    """Write the weights that all runs start from."""
    path = folder / 'start.pth'
    torch.save({'state_dict': tiny_segmenter().state_dict()}, path)
    return path


def repeatable_config(
    folder: Path, name: str, split: Path, batch_size: int, iterations: int, **train_cfg
) -> Config:
    """Return the config of a run in `folder / name` and write it to a file.

    All masks are compared at points that depend on neither process nor batch index, and
    classes weigh the same: mmdet divides the class loss by the weights of each process's own.

    Args:
        folder: contains `start.pth`.
        name: name of the run.
        split: videos to train and test on.
        batch_size: clips per process.
        iterations: number of iterations.
        train_cfg: further settings of the training loop.
    """
    config = tiny_config()
    point_at(config, train=split, test=split)
    config.custom_imports.imports.append('fixed_points')
    config.model.panoptic_head.type = 'FixedPointsHead'
    config.model.panoptic_head.loss_cls.class_weight = [1.0] * 6
    config.train_dataloader.batch_size = batch_size
    config.train_cfg = {
        'type': 'IterBasedTrainLoop',
        'max_iters': iterations,
        'val_interval': 100,
        'val_begin': 100,
        **train_cfg,
    }
    # Weights change in proportion to gradients, which vary between layers by less than the size
    # of the weights themselves.
    config.optim_wrapper = dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), clip_grad=dict(max_norm=1.0)
    )
    config.param_scheduler = [dict(type='LinearLR', start_factor=0.5, by_epoch=False, end=3)]
    config.default_hooks.logger.interval = 1
    config.log_processor.window_size = 1
    config.randomness = dict(seed=SEED)
    config.load_from = str(folder / 'start.pth')
    config.test_evaluator.outfile_prefix = str(folder / name / 'results')
    config.work_dir = str(folder / name)
    config.experiment_name = name
    (folder / name).mkdir()
    config.dump(folder / f'{name}.py')
    return config


def weights_after(folder: Path, iterations: int) -> dict[str, torch.Tensor]:
    """Return the weights of a run's checkpoint."""
    return load_checkpoint_safely(folder / f'iter_{iterations}.pth')['state_dict']


def losses_of(folder: Path, iterations: int) -> list[float]:
    """Return the loss of each iteration from a run's checkpoint."""
    hub = load_checkpoint_safely(folder / f'iter_{iterations}.pth')['message_hub']
    return [float(x) for x in hub['log_scalars']['train/loss'].data[0]]


def largest_difference(ours: dict, theirs: dict, start: dict) -> float:
    """Return the difference of two runs relative to the largest change since the start."""
    assert ours.keys() == theirs.keys()
    change = max((theirs[key] - start[key]).abs().max() for key in theirs)
    assert change > 0.001
    return float(max((ours[key] - theirs[key]).abs().max() for key in theirs) / change)
