"""Training in bfloat16, on a GPU or a CPU."""

import contextlib
from collections.abc import Iterator

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """mmengine's wrapper whose forward pass runs under bfloat16 autocast.

    bfloat16 has the range of float32, so no loss is scaled, and gradients are not skipped.
    mmengine's AmpOptimWrapper refuses a machine without a GPU; this one does not.
    """

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """As in mmengine, under autocast; weights and their gradients stay float32."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
