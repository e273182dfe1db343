"""What mmengine lacks: whole checkpoints, fitted checkpoints, launching on a CPU."""

from axialvs.engine.adapt_checkpoint_hook import AdaptCheckpointHook
from axialvs.engine.atomic_backend import AtomicLocalBackend, write_atomically
from axialvs.engine.bfloat16_optim_wrapper import Bfloat16OptimWrapper
from axialvs.engine.checkpoint_hook import AtomicCheckpointHook
from axialvs.engine.clip_log_processor import ClipLogProcessor
from axialvs.engine.overlay_hook import OverlayHook
from axialvs.engine.tensorboard_backend import OptionalTensorboardVisBackend
from axialvs.registry import SCOPE  # makes `axialvs::` known to mmengine

__all__ = [
    'SCOPE',
    'AdaptCheckpointHook',
    'AtomicCheckpointHook',
    'AtomicLocalBackend',
    'Bfloat16OptimWrapper',
    'ClipLogProcessor',
    'OptionalTensorboardVisBackend',
    'OverlayHook',
    'write_atomically',
]
