"""Reads checkpoint files weights-only: nothing that a file holds is ever executed.

mmengine tries weights-only and falls back to full unpickling, and its `Runner.resume` runs the
config text of a checkpoint as Python. `SafeRunner` and `init_segmenter` read here instead.
One function, `load_trusted_checkpoint`, does run what is in a file; only publish_model.py calls it,
when its user says so, to make plain weights of the file.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.datasets import CocoDataset, CocoPanopticDataset
from mmengine.logging import HistoryBuffer
from torch import nn

from axialvs.checkpoints.key_mapping import (
    CLASS_BIAS,
    AdaptationReport,
    adapt_state_dict,
    is_release_state_dict,
    rename_mask2former_vis,
)
from axialvs.utils.config_files import find_config
from axialvs.utils.errors import AxialVSError

# How the functions that rebuild numpy arrays are named, before and since numpy 2.
_NUMPY_CORES = ('numpy.core.multiarray', 'numpy._core.multiarray')
_NUMPY_DTYPES = (
    '?',
    'i1',
    'i2',
    'i4',
    'i8',
    'u1',
    'u2',
    'u4',
    'u8',
    'f2',
    'f4',
    'f8',
    'O',
    'S',
    'U',
)
# The statistics that a HistoryBuffer of mmengine's logs refers to.
_HISTORY_STATISTICS = ('min', 'max', 'current', 'mean')

# Where mmcv 1.x and mmengine keep the text of the config that a model was trained with.
_CONFIG_TEXT = 'config'

_OTHER_FILE = 'copy or download it again, or take another one'

# Signs in an error message that an object was refused, rather than a file damaged.
_REFUSALS = (
    r'GLOBAL (\S+) (?:whose module|was not)',
    r'(?:refused: |recognized function )(.+)',
    r'(?:allowlisted via .* but got |BUILD instruction .* but got )(.+)',
)


class CheckpointError(AxialVSError):
    """A checkpoint file cannot be used."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint holds more than tensors and plain values."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint is cut off, damaged or not a checkpoint."""


def load_checkpoint_safely(
    path: str | Path, map_location: Any = 'cpu', lazily: bool = False
) -> dict[str, Any]:
    """Reads a checkpoint of PyTorch, mmcv or mmengine without running anything it holds.

    Tensors, plain Python values, numpy arrays and mmengine's log histories are let through.
    A config text that mmengine would execute on resuming is kept as `meta['config_text']`.

    Args:
        path: A local file.
        map_location: As in `torch.load`.
        lazily: Leave the tensors' data in the file, where its format allows that: a quick way to
            see whether it is whole.

    Returns:
        The checkpoint, a dict.

    Raises:
        FileNotFoundError: There is no such file.
        UnsafeCheckpointError: Reading it takes the execution of code.
        DamagedCheckpointError: It is cut off, damaged or no checkpoint.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist; {_remedy(path)}')
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            in_file = lazily and zipfile.is_zipfile(path)
            checkpoint = torch.load(
                path, map_location=map_location, weights_only=True, mmap=in_file
            )
    except pickle.UnpicklingError as error:
        raise _explain(path, error) from None
    except (PermissionError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # damaged bytes can make the reader fail in any way
        raise DamagedCheckpointError(
            f'checkpoint {path} ({path.stat().st_size} bytes) is cut off, damaged or no checkpoint '
            f'({_first_line(error)}); {_OTHER_FILE}'
        ) from error
    if not isinstance(checkpoint, Mapping):
        raise DamagedCheckpointError(
            f'checkpoint {path} holds a {type(checkpoint).__name__}, not a dict of weights'
        )
    checkpoint = dict(checkpoint)
    _disarm_config_text(checkpoint)
    return checkpoint


def _remedy(missing: Path) -> str:
    """What to do about a missing file, which may be what a config that has to come first writes."""
    config = missing.parent.name
    try:
        find_config(f'{config}.py')
    except FileNotFoundError:
        return 'check the path'
    return (
        f'training {config} writes it: first run python tools/train.py {config}. A training starts '
        'from another file with --cfg-options load_from=FILE'
    )


def load_trusted_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint in the unsafe way: whatever code it holds is run, with the user's rights.

    Args:
        path: A local file that is trusted as a program would be.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedCheckpointError: It cannot be read, or holds neither a dict nor a module.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist; check the path')
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=False)
    except Exception as error:  # it may need classes that are not here, and do anything else
        raise DamagedCheckpointError(
            f'checkpoint {path} cannot be read ({type(error).__name__}: {error})'
        ) from error
    if isinstance(checkpoint, torch.nn.Module):
        checkpoint = {'state_dict': checkpoint.state_dict()}
    if not isinstance(checkpoint, Mapping):
        raise DamagedCheckpointError(
            f'checkpoint {path} holds a {type(checkpoint).__name__}, not weights'
        )
    return dict(checkpoint)


def state_dict_of(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint, without the prefix `module.` of a wrapped model.

    Args:
        checkpoint: What `load_checkpoint_safely` returned.
        path: Named in errors.

    Raises:
        DamagedCheckpointError: There are no weights in it.
    """
    weights = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    tensors = (
        {key: value for key, value in weights.items() if isinstance(value, torch.Tensor)}
        if isinstance(weights, Mapping)
        else {}
    )
    if not tensors:
        raise DamagedCheckpointError(
            f'checkpoint {path} holds no weights; its keys are {sorted(map(str, checkpoint))}'
        )
    return {key.removeprefix('module.'): value for key, value in tensors.items()}


def _allowed_globals() -> list:
    """What mmengine's own checkpoints refer to, by the names that they use."""
    multiarray = np._core.multiarray
    allowed = [np.ndarray, np.dtype, slice, HistoryBuffer]
    allowed += [type(np.dtype(kind)) for kind in _NUMPY_DTYPES]
    for core in _NUMPY_CORES:
        allowed.append((multiarray._reconstruct, f'{core}._reconstruct'))
        allowed.append((multiarray.scalar, f'{core}.scalar'))
    allowed.append((_history_statistic, 'builtins.getattr'))
    allowed.append((_history_statistic, '__builtin__.getattr'))
    return allowed


def _history_statistic(owner: type, name: str):
    """Stands for `getattr`, which a pickled HistoryBuffer needs; anything else is refused."""
    if owner is not HistoryBuffer or name not in _HISTORY_STATISTICS:
        raise pickle.UnpicklingError(f'refused: getattr({owner!r}, {name!r})')
    return getattr(owner, name)


def _explain(path: Path, error: pickle.UnpicklingError) -> CheckpointError:
    refused = _refused_object(str(error))
    if refused:
        return UnsafeCheckpointError(
            f'checkpoint {path} was not loaded: it holds Python objects whose reading can run code '
            f'({refused}). Ask its author for plain weights; or, if you trust it as a program that '
            'you would run, make plain weights of it: python '
            f'tools/model_converters/publish_model.py {path} NEW.pth --run-code-in-source'
        )
    return DamagedCheckpointError(
        f'checkpoint {path} is damaged or no checkpoint ({_first_line(error)}); {_OTHER_FILE}'
    )


def _refused_object(message: str) -> str | None:
    """What torch's unpickler or `_history_statistic` refused to make; None for other failures."""
    for pattern in _REFUSALS:
        found = re.search(pattern, message)
        if found:
            return found.group(1)
    return None


def _first_line(error: Exception) -> str:
    """The first sentence of an error, without the advice that torch adds to it."""
    text = str(error).rpartition('WeightsUnpickler error: ')[-1].strip()
    return text.splitlines()[0].partition('. ')[0].rstrip('.') if text else type(error).__name__


def _disarm_config_text(checkpoint: dict[str, Any]) -> None:
    meta = checkpoint.get('meta')
    if isinstance(meta, dict) and _CONFIG_TEXT in meta:
        meta['config_text'] = meta.pop(_CONFIG_TEXT)


# Published COCO checkpoints may not name their classes; the number of rows tells the list.
_CLASSES_BY_COUNT = {
    len(dataset.METAINFO['classes']): dataset.METAINFO['classes']
    for dataset in (CocoDataset, CocoPanopticDataset)
}


class CheckpointMismatchError(CheckpointError):
    """A checkpoint belongs to another model."""


def load_weights(
    model: nn.Module, path: str | Path, checkpoint: Mapping[str, Any] | None = None
) -> AdaptationReport:
    """Loads a checkpoint for inference: every tensor of the model comes from it, none is left.

    mmdet's Mask2Former-VIS checkpoints are renamed on the way.

    Args:
        model: Not wrapped for distributed training.
        path: A local file.
        checkpoint: Its content, if it was read already.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It cannot be read safely, or does not fit the model.
    """
    checkpoint = load_checkpoint_safely(path) if checkpoint is None else checkpoint
    weights = state_dict_of(checkpoint, path)
    fitting, report = adapt_state_dict(weights, model.state_dict())
    if not report.is_complete:
        raise CheckpointMismatchError(
            f'checkpoint {path} does not fit the model of the config: '
            f'{report.summary()}. {_advice(weights, report)}'
        )
    model.load_state_dict(fitting)
    return report


def class_names_of(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The classes that a checkpoint's model tells apart, in the order of its labels.

    They are read from what mmengine or mmcv 1.x wrote beside the weights; a COCO model's are
    known by their number. None where they are not known.
    """
    meta = checkpoint.get('meta') or {}
    dataset_meta = meta.get('dataset_meta') or {}
    for source, key in ((dataset_meta, 'classes'), (dataset_meta, 'CLASSES'), (meta, 'CLASSES')):
        names = source.get(key)
        if isinstance(names, Sequence) and not isinstance(names, str) and names:
            return tuple(map(str, names))
    weights = rename_mask2former_vis(checkpoint.get('state_dict', checkpoint))
    if CLASS_BIAS not in weights:
        return None
    return _CLASSES_BY_COUNT.get(len(weights[CLASS_BIAS]) - 1)


def _advice(weights: Mapping[str, Any], report: AdaptationReport) -> str:
    if is_release_state_dict(weights):
        return (
            'It is a checkpoint of the public release: convert it first with '
            'python tools/model_converters/convert_release.py'
        )
    if CLASS_BIAS in report.mismatched:
        theirs, ours = (shape[0] - 1 for shape in report.mismatched[CLASS_BIAS])
        return f'It tells {theirs} classes apart and the config {ours}: choose the config it fits'
    return 'Choose the config that it was trained with'
