"""Published checkpoints: where they are, what their tensors are called, and safe reading."""

from axialvs.checkpoints.adapting import AdaptationReport, adapt_state_dict
from axialvs.checkpoints.loading import (
    CheckpointError,
    DamagedCheckpointError,
    UnsafeCheckpointError,
    load_checkpoint_safely,
    state_dict_of,
)
from axialvs.checkpoints.mmengine_loaders import register_safe_loaders
from axialvs.checkpoints.model_zoo import (
    CHECKPOINTS,
    CheckpointUnavailableError,
    KnownCheckpoint,
    fetch_checkpoint,
    resolve_checkpoint,
)
from axialvs.checkpoints.weights import CheckpointMismatchError, class_names_of, load_weights

__all__ = [
    'CHECKPOINTS',
    'AdaptationReport',
    'CheckpointError',
    'CheckpointMismatchError',
    'CheckpointUnavailableError',
    'DamagedCheckpointError',
    'KnownCheckpoint',
    'UnsafeCheckpointError',
    'adapt_state_dict',
    'class_names_of',
    'fetch_checkpoint',
    'load_checkpoint_safely',
    'load_weights',
    'register_safe_loaders',
    'resolve_checkpoint',
    'state_dict_of',
]

register_safe_loaders()
