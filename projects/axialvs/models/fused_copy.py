"""Convolution and batch norm fusion for inference."""

import copy
import sys

import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class FusedCopy:
    """Keep a fused copy of a module and update it when the weights change.

    The module, its parameters and its checkpoints are unchanged. In eval mode, the scale and shift
    of a batch norm are folded into the preceding convolution, which is equal up to rounding and
    saves one pass over each map.

    Args:
        compile_options: arguments of `torch.compile` for the copy; None does not compile it.
    """

    def __init__(self, compile_options: dict | None = None) -> None:
        self._compile_options = compile_options
        self._fused: nn.Module | None = None
        self._fingerprint: tuple | None = None

    def of(self, module: nn.Module) -> nn.Module:
        """Return the module to run now.

        Args:
            module: a model whose norms directly follow their convolutions, as in mmdet's ResNet.

        Returns:
            A copy with fused norms, or the module itself if fusion does not apply: in training,
            with gradients, under a compiler (which has its own fusion), without batch norms, with
            sharded weights, or if `can_fuse_norms` is False.
        """
        if module.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return module
        # Imported by any code that shards a model; importing it here would take a second.
        fsdp = sys.modules.get('torch.distributed.fsdp')
        if fsdp and any(isinstance(x, fsdp.FSDPModule) for x in module.modules()):
            return module
        if not getattr(module, 'can_fuse_norms', True):
            return module
        norms = [x for x in module.modules() if isinstance(x, _BatchNorm)]
        if not norms or any(x.training or x.running_mean is None for x in norms):
            return module
        fingerprint = _fingerprint_of(module)
        if self._fingerprint != fingerprint:
            fused = fuse_conv_bn(copy.deepcopy(module))
            self._fused = fused.to(memory_format=torch.channels_last)
            if self._compile_options is not None:
                self._fused.compile(**self._compile_options)
            self._fingerprint = fingerprint
        assert self._fused is not None
        return self._fused


def _fingerprint_of(module: nn.Module) -> tuple:
    """Return a key that changes when a parameter or buffer is modified, moved or replaced."""
    tensors = (*module.parameters(), *module.buffers())
    return tuple((x.data_ptr(), x.dtype, 0 if x.is_inference() else x._version) for x in tensors)
