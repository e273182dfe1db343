"""What train.py does about a batch that differs from the one that a config was made for."""

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.runner import Runner


def accumulate_gradients(config: Config, batches: str) -> None:
    """Gives the config the loop that makes a step of several batches, see its class.

    Raises:
        ValueError: `batches` is no number, or the config does not say for what batch it was made.
    """
    if config.train_cfg.get('type') not in ('IterBasedTrainLoop', 'AccumulatingTrainLoop'):
        raise ValueError('--accumulate needs a config whose train_cfg is an IterBasedTrainLoop')
    config.train_cfg.type = 'AccumulatingTrainLoop'
    for of_config in ('accumulate', 'global_batch_size'):
        config.train_cfg.pop(of_config, None)
    if batches == 'auto':
        if base_batch_size(config) is None:
            raise ValueError(
                '--accumulate: the config has no auto_scale_lr.base_batch_size; say how many '
                'batches make a step, such as --accumulate 4'
            )
        config.train_cfg.global_batch_size = base_batch_size(config)
    elif batches.isdecimal() and int(batches):
        config.train_cfg.accumulate = int(batches)
    else:
        raise ValueError(f"--accumulate {batches}: a whole number from 1, or 'auto', is needed")


def scale_learning_rate(config: Config) -> None:
    """Turns mmengine's scaling on, which needs the batch size that the config was made for."""
    if base_batch_size(config) is None:
        raise ValueError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    config.auto_scale_lr.enable = True


def base_batch_size(config: Config) -> int | None:
    """Clips of all GPUs in a step that the config's learning rate was made for, if it says so."""
    return config.get('auto_scale_lr', {}).get('base_batch_size')


def warn_of_other_batch(runner: Runner) -> None:
    """Says so if a step has another number of clips than the learning rate was made for."""
    config, base = runner.cfg, base_batch_size(runner.cfg)
    is_plain = config.train_cfg.get('type') == 'IterBasedTrainLoop'
    scaled = config.get('auto_scale_lr', {}).get('enable', False)
    clips = get_world_size() * config.train_dataloader.batch_size
    if base in (None, clips) or scaled or not is_plain:
        return
    runner.logger.warning(
        f'A step has {clips} clips, and the learning rate was made for {base}: --accumulate keeps '
        'the batch, --auto-scale-lr scales the learning rate'
    )
