"""Published checkpoints: where they are, what their tensors are called, and safe reading."""

from axialvs.checkpoints.hub import (
    CHECKPOINTS,
    CheckpointUnavailableError,
    KnownCheckpoint,
    fetch_checkpoint,
    resolve_checkpoint,
)
from axialvs.checkpoints.key_mapping import AdaptationReport, adapt_state_dict
from axialvs.checkpoints.loading import (
    CheckpointError,
    CheckpointMismatchError,
    DamagedCheckpointError,
    UnsafeCheckpointError,
    category_ids_of,
    class_names_of,
    load_checkpoint_safely,
    load_weights,
    state_dict_of,
)

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
    'category_ids_of',
    'class_names_of',
    'fetch_checkpoint',
    'load_checkpoint_safely',
    'load_weights',
    'resolve_checkpoint',
    'state_dict_of',
]
