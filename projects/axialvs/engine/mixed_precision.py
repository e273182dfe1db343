"""The option `--amp` of the tools, and what it does to a config."""

from argparse import ArgumentParser

import torch
from mmengine.config import Config


def add_option(parser: ArgumentParser) -> None:
    """Adds `--amp`, with 'auto' where it is given without a type."""
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'float16', 'bfloat16'),
        help='mixed precision, by default in bfloat16 where the device has it; float16 needs a GPU',
    )


def precision_of_device(choice: str) -> torch.dtype:
    """The type that matrix products take; 'auto' is bfloat16 wherever the device has it.

    Raises:
        ValueError: The device does not have the type.
    """
    has_gpu = torch.cuda.is_available()
    has_bfloat16 = not has_gpu or torch.cuda.is_bf16_supported(including_emulation=False)
    if choice == 'auto':
        choice = 'bfloat16' if has_bfloat16 else 'float16'
    if choice == 'bfloat16' and not has_bfloat16:
        raise ValueError('--amp bfloat16: this GPU does not have it; use --amp float16')
    if choice == 'float16' and not has_gpu:
        raise ValueError('--amp float16 needs a GPU and none was found; use --amp bfloat16')
    return getattr(torch, choice)


def use_in_training(config: Config, choice: str) -> None:
    """Gives the config the optimiser's wrapper for a type, see `precision_of_device`."""
    wrapper = config.optim_wrapper
    if precision_of_device(choice) == torch.bfloat16:
        wrapper.type = 'Bfloat16OptimWrapper'
        wrapper.pop('loss_scale', None)
        return
    wrapper.type = 'AmpOptimWrapper'
    wrapper.dtype = 'float16'
    wrapper.setdefault('loss_scale', 'dynamic')


def use_in_test(config: Config, choice: str) -> None:
    """Lets mmengine's test loop run the model under autocast, see `precision_of_device`."""
    dtype = precision_of_device(choice)
    config.test_cfg.fp16 = True  # mmengine's name for autocast, whatever its type
    torch.set_autocast_dtype('cuda' if torch.cuda.is_available() else 'cpu', dtype)
