"""Mixed precision: the dtype of `--amp` and its settings in a config."""

import contextlib
from collections.abc import Iterator

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from axialvs.utils.errors import AxialVSError


def precision_of_device(choice: str, device: str | torch.device) -> torch.dtype:
    """Return the autocast dtype; 'auto' is bfloat16 if the device has it.

    Args:
        choice: 'auto', 'float16' or 'bfloat16'.
        device: of the model.

    Raises:
        AxialVSError: if the device does not support it.
    """
    on_gpu = torch.device(device).type == 'cuda'
    has_bfloat16 = not on_gpu or _gpu_has_bfloat16(device)
    if choice == 'auto':
        choice = 'bfloat16' if has_bfloat16 else 'float16'
    if choice == 'bfloat16' and not has_bfloat16:
        raise AxialVSError('--amp bfloat16: this GPU does not have it; use --amp float16')
    if choice == 'float16' and not on_gpu:
        raise AxialVSError(f'--amp float16 needs a GPU, not {device}; use --amp bfloat16')
    return getattr(torch, choice)


def _gpu_has_bfloat16(device: str | torch.device) -> bool:
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def use_in_training(config: Config, choice: str) -> None:
    """Set the optimizer wrapper of a config, see `precision_of_device`."""
    wrapper = config.optim_wrapper
    if precision_of_device(choice, get_device()) == torch.bfloat16:
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
    config.test_cfg.fp16 = True  # mmengine's name for autocast, whatever its type
    torch.set_autocast_dtype(torch.device(device).type, dtype)


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Runs the forward pass under bfloat16 autocast.

    bfloat16 has the range of float32, so that losses are not scaled. Unlike mmengine's
    AmpOptimWrapper, it works without a GPU.
    """

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter autocast; weights and their gradients stay float32."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
