"""What mmengine lacks: whole and fitted checkpoints, going on exactly, launching on a CPU."""

from axialvs.engine.accumulating_loop import AccumulatingTrainLoop
from axialvs.engine.adapt_checkpoint_hook import AdaptCheckpointHook
from axialvs.engine.atomic_backend import AtomicLocalBackend
from axialvs.engine.bfloat16_optim_wrapper import Bfloat16OptimWrapper
from axialvs.engine.catch_up_validation_hook import CatchUpValidationHook
from axialvs.engine.checkpoint_hook import AtomicCheckpointHook
from axialvs.engine.clip_log_processor import ClipLogProcessor
from axialvs.engine.end_workers_hook import EndWorkersHook
from axialvs.engine.iteration_seed_hook import IterationSeedHook
from axialvs.engine.mean_losses_hook import MeanLossesHook
from axialvs.engine.overlay_hook import OverlayHook
from axialvs.engine.save_on_data_error_hook import SaveOnDataErrorHook
from axialvs.engine.sharded_runner import ShardedRunner
from axialvs.engine.stop_on_signal_hook import StopOnSignalHook
from axialvs.engine.tensorboard_backend import OptionalTensorboardVisBackend
from axialvs.engine.tracker_backends import ClipMLflowVisBackend, ClipWandbVisBackend
from axialvs.registry import SCOPE  # makes `axialvs::` known to mmengine

__all__ = [
    'SCOPE',
    'AccumulatingTrainLoop',
    'AdaptCheckpointHook',
    'AtomicCheckpointHook',
    'AtomicLocalBackend',
    'Bfloat16OptimWrapper',
    'CatchUpValidationHook',
    'ClipLogProcessor',
    'ClipMLflowVisBackend',
    'ClipWandbVisBackend',
    'EndWorkersHook',
    'IterationSeedHook',
    'MeanLossesHook',
    'OptionalTensorboardVisBackend',
    'OverlayHook',
    'SaveOnDataErrorHook',
    'ShardedRunner',
    'StopOnSignalHook',
]
