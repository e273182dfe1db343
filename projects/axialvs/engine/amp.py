"""Mixed precision: the dtype of `--amp` and its settings in a config."""

import contextlib
import timeit
from collections.abc import Iterator

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from axialvs.utils.errors import AxialVSError

MIN_SPEEDUP = 1.5
"""Minimum speedup of bfloat16 matrix products at which autocast is worthwhile."""


def precision_of_device(choice: str, device: str | torch.device) -> torch.dtype | None:
    """Return the autocast dtype, None for float32; the choice of 'auto' is logged.

    Args:
        choice: 'float16', 'bfloat16' or 'auto': on a GPU bfloat16 if it has it, else float16; on a
            CPU bfloat16 if a matrix product is faster in it, else float32.
        device: of the model.

    Raises:
        AxialVSError: if the device does not support it.
    """
    on_gpu = torch.device(device).type == 'cuda'
    has_bfloat16 = not on_gpu or _gpu_has_bfloat16(device)
    if choice == 'auto' and not on_gpu:
        speedup = bfloat16_speedup()
        dtype = torch.bfloat16 if speedup >= MIN_SPEEDUP else None
        print_log(
            f'--amp auto: {"bfloat16" if dtype else "float32"}; '
            f'a matrix product in bfloat16 has {speedup:.2g} times the speed of float32 here',
            'current',
        )
        return dtype
    if choice == 'auto':
        choice = 'bfloat16' if has_bfloat16 else 'float16'
        print_log(f'--amp auto: {choice}', 'current')
    if choice == 'bfloat16' and not has_bfloat16:
        raise AxialVSError('--amp bfloat16: this GPU does not have it; use --amp float16')
    if choice == 'float16' and not on_gpu:
        raise AxialVSError(f'--amp float16 needs a GPU, not {device}; use --amp bfloat16')
    return getattr(torch, choice)


def bfloat16_speedup() -> float:
    """Measure the speedup of bfloat16 matrix products over float32 on this CPU.

    About 2.4 with AMX, and far below 1 if bfloat16 is emulated.
    """
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.randn(256, 256).to(dtype)
        seconds.append(min(timeit.repeat(lambda m=matrix: m @ m, number=1, repeat=5)))
    return seconds[0] / seconds[1]


def _gpu_has_bfloat16(device: str | torch.device) -> bool:
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def use_in_training(config: Config, choice: str) -> None:
    """Set the optimizer wrapper of a config, see `precision_of_device`."""
    wrapper = config.optim_wrapper
    dtype = precision_of_device(choice, get_device())
    if dtype is None:
        return
    if dtype == torch.bfloat16:
        wrapper.type = 'Bfloat16OptimWrapper'
        wrapper.pop('loss_scale', None)
        return
    wrapper.type = 'AmpOptimWrapper'
    wrapper.dtype = 'float16'
    wrapper.setdefault('loss_scale', 'dynamic')


def use_in_test(config: Config, choice: str) -> None:
    """Run mmengine's test loop under autocast, see `precision_of_device`."""
    device = get_device()  # mmengine's choice for the runner
    dtype = precision_of_device(choice, device)
    if dtype is None:
        return
    config.test_cfg.fp16 = True  # mmengine's name for autocast, whatever its type
    torch.set_autocast_dtype(torch.device(device).type, dtype)


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast.

    bfloat16 has the range of float32, so no loss scaling is needed. Unlike mmengine's
    AmpOptimWrapper, it works without a GPU.
    """

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter autocast; weights and their gradients stay float32."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
