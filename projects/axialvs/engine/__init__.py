"""What mmengine lacks: whole and fitted checkpoints, going on exactly, launching on a CPU."""

from axialvs.engine.accumulation import AccumulatingTrainLoop
from axialvs.engine.amp import Bfloat16OptimWrapper
from axialvs.engine.checkpointing import AtomicCheckpointHook, AtomicLocalBackend
from axialvs.engine.hooks.checkpoint_remap_hook import CheckpointRemapHook
from axialvs.engine.hooks.data_error_hook import DataErrorHook
from axialvs.engine.hooks.iteration_seed_hook import IterationSeedHook
from axialvs.engine.hooks.preemption_hook import PreemptionHook
from axialvs.engine.hooks.reduce_loss_hook import ReduceLossHook
from axialvs.engine.hooks.resume_validation_hook import ResumeValidationHook
from axialvs.engine.hooks.video_visualization_hook import VideoVisualizationHook
from axialvs.engine.hooks.worker_watchdog_hook import WorkerWatchdogHook
from axialvs.engine.log_processor import CompactLogProcessor
from axialvs.engine.optim_wrapper_constructor import MultiplicativeOptimWrapperConstructor
from axialvs.engine.sharded_runner import ShardedRunner
from axialvs.engine.vis_backends import (
    ClipMLflowVisBackend,
    ClipWandbVisBackend,
    OptionalTensorboardVisBackend,
)
from axialvs.registry import SCOPE  # makes `axialvs::` known to mmengine

__all__ = [
    'SCOPE',
    'AccumulatingTrainLoop',
    'AtomicCheckpointHook',
    'AtomicLocalBackend',
    'Bfloat16OptimWrapper',
    'CheckpointRemapHook',
    'ClipMLflowVisBackend',
    'ClipWandbVisBackend',
    'CompactLogProcessor',
    'DataErrorHook',
    'IterationSeedHook',
    'MultiplicativeOptimWrapperConstructor',
    'OptionalTensorboardVisBackend',
    'PreemptionHook',
    'ReduceLossHook',
    'ResumeValidationHook',
    'ShardedRunner',
    'VideoVisualizationHook',
    'WorkerWatchdogHook',
]
