"""Load checkpoints without executing code in them, see `safe_reader`.

The exception is `load_trusted_checkpoint`, which unpickles. It is only called by publish_model.py,
on explicit request, to extract plain weights.
"""

import errno
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from axialvs.checkpoints.hub import ZOO_PREFIX, find_known, resolve_checkpoint
from axialvs.checkpoints.key_mapping import (
    CLASS_BIAS,
    KMAX_CLASS_BIAS,
    AdaptationReport,
    adapt_state_dict,
    rename_mask2former_vis,
)
from axialvs.checkpoints.pickled_values import BrokenFileError, RefusedError
from axialvs.checkpoints.release_names import is_release_state_dict
from axialvs.checkpoints.safe_reader import read_file
from axialvs.checkpoints.safetensors_file import SUFFIX, read_safetensors
from axialvs.utils.errors import AxialVSError

# Key of the training config's text in mmcv 1.x and mmengine, which executes it on resuming.
_CONFIG_TEXT = 'config'
# Errors from seeking to an offset in a corrupted index, and from a bad sector.
_DAMAGE = (errno.EINVAL, errno.EIO)

# Key in `meta` for weights stored in another published checkpoint, see publish_model.py --base.
BASE_KEY = 'base'

_MAX_NAME = 1000  # characters
_COCO_THINGS, _COCO_PANOPTIC = 80, 133


class CheckpointError(AxialVSError):
    """A checkpoint cannot be used."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint contains more than tensors and plain values."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint is truncated, corrupted or not a checkpoint."""


class CheckpointMismatchError(CheckpointError):
    """A checkpoint belongs to a different model."""


def load_checkpoint_safely(source: str | Path, with_data: bool = True) -> dict[str, Any]:
    """Load a checkpoint of PyTorch, mmcv or mmengine onto the CPU, weights-only.

    A config text, which mmengine would execute on resuming, is moved to `meta['config_text']`. If
    `meta['base']` names a known checkpoint, the weights that it lists are loaded from there.

    Args:
        source: path, name or URL, see `resolve_checkpoint`; a file that ends in .safetensors is
            read in this format.
        with_data: False only checks the file, including its checksums, without loading tensor data.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if it contains anything but tensors and plain values.
        DamagedCheckpointError: if it is truncated, corrupted or not a checkpoint, or its base is
            unknown.
    """
    path = resolve_checkpoint(source)
    try:
        read = read_safetensors if path.suffix == SUFFIX else read_file
        content = read(path, with_data)
    except RefusedError as error:
        raise UnsafeCheckpointError(
            f'checkpoint {path} was not loaded: it contains Python objects, and loading these can '
            f'run code ({error}). Ask its author for plain weights; or, if you trust it like a '
            f'program, extract them: axialvs publish {path} NEW.pth --run-code-in-source'
        ) from None
    except (BrokenFileError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _DAMAGE:
            raise
        raise DamagedCheckpointError(
            f'checkpoint {path} ({path.stat().st_size} bytes) is truncated, corrupted or not a '
            f'checkpoint ({_first_line(error)}); copy or download it again, or use a different one'
        ) from None
    checkpoint = _as_dict(content, path)
    meta = {} if checkpoint.get('meta') is None else checkpoint['meta']
    if not isinstance(meta, dict):
        raise DamagedCheckpointError(
            f'checkpoint {path}: meta is a {type(meta).__name__}, not a dict; use a different file'
        )
    if _CONFIG_TEXT in meta:
        meta['config_text'] = meta.pop(_CONFIG_TEXT)
    if BASE_KEY in meta and with_data:
        weights = _base_weights(meta[BASE_KEY], path)
        checkpoint['state_dict'] = weights | state_dict_of(checkpoint, path)
    return checkpoint


def _base_weights(base: Any, path: Path) -> dict[str, Tensor]:
    # Only known names are allowed: a path or URL in a file could point anywhere.
    name = base.get('name') if isinstance(base, dict) else None
    known = find_known(name) if isinstance(name, str) else None
    keys = base.get('weights') if known else None
    if not isinstance(keys, list):
        raise DamagedCheckpointError(
            f'checkpoint {path}: meta.{BASE_KEY} is {reprlib.repr(base)}, not a known checkpoint '
            'and names of its weights; use a different file'
        )
    file = resolve_checkpoint(ZOO_PREFIX + known.name)
    weights = state_dict_of(load_checkpoint_safely(file), file)
    missing = [key for key in keys if key not in weights]
    if missing:
        raise CheckpointMismatchError(
            f'checkpoint {path} needs {reprlib.repr(missing[0])} of {file}, which lacks it; '
            'install the version of axialvs that the checkpoint was published with'
        )
    return {key: weights[key] for key in keys}


def load_trusted_checkpoint(source: str | Path) -> dict[str, Any]:
    """Unpickle a checkpoint, which can execute arbitrary code.

    Args:
        source: see `resolve_checkpoint`; must be trusted like a program.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedCheckpointError: if it cannot be read, or contains neither a dict nor a module.
    """
    path = resolve_checkpoint(source)
    try:
        content = torch.load(path, map_location='cpu', weights_only=False)
    except Exception as error:  # unpickling can raise anything, such as ImportError
        raise DamagedCheckpointError(
            f'checkpoint {path} cannot be read ({type(error).__name__}: {error})'
        ) from error
    if isinstance(content, nn.Module):
        content = {'state_dict': content.state_dict()}
    return _as_dict(content, path)


def state_dict_of(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Tensor]:
    """Extract the weights of a checkpoint, without the prefix `module.` of a wrapped model.

    Args:
        checkpoint: result of `load_checkpoint_safely`.
        path: its path, for messages.

    Raises:
        DamagedCheckpointError: if there are no weights, or one is complex, NaN or infinite.
    """
    weights = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    tensors = (
        {key: value for key, value in weights.items() if isinstance(value, Tensor)}
        if isinstance(weights, Mapping)
        else {}
    )
    if not tensors:
        keys = reprlib.repr(sorted(map(str, checkpoint)))
        raise DamagedCheckpointError(f'checkpoint {path} has no weights; its keys are {keys}')
    for key, value in tensors.items():
        if not isinstance(key, str) or not key.isprintable() or len(key) > _MAX_NAME:
            raise DamagedCheckpointError(
                f'checkpoint {path}: {reprlib.repr(key)} is not a tensor name'
            )
        if value.is_complex():
            raise DamagedCheckpointError(
                f'checkpoint {path}: {key} is complex ({value.dtype}); no model here has such '
                'weights'
            )
        if value.is_floating_point() and not value.is_meta and not _is_finite(value):
            raise DamagedCheckpointError(
                f'checkpoint {path}: {key} has NaN or infinite values; training diverged or the '
                'file was changed; use an earlier checkpoint'
            )
    return {key.removeprefix('module.'): value for key, value in tensors.items()}


def _is_finite(value: Tensor) -> bool:
    for dimension, stride in enumerate(value.stride()):
        if not stride:  # an expanded dimension; checking all values would materialize it
            value = value.narrow(dimension, 0, min(1, value.shape[dimension]))
    return bool(value.isfinite().all())


def load_weights(
    model: nn.Module, path: str | Path, checkpoint: Mapping[str, Any] | None = None
) -> AdaptationReport:
    """Load weights for inference; the checkpoint must have every tensor of the model.

    Tensors of mmdet's Mask2Former-VIS checkpoints are renamed.

    Args:
        model: not wrapped for distributed training.
        path: local file.
        checkpoint: its content, if it has been read already.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it cannot be read safely, or does not fit the model.
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


def dataset_meta_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `dataset_meta` of a checkpoint, {} if it has none.

    Raises:
        DamagedCheckpointError: if it is not a dict.
    """
    dataset_meta = (checkpoint.get('meta') or {}).get('dataset_meta')
    dataset_meta = {} if dataset_meta is None else dataset_meta
    if not isinstance(dataset_meta, Mapping):
        raise DamagedCheckpointError(
            f"the checkpoint's meta.dataset_meta is a {type(dataset_meta).__name__}, not a dict"
        )
    return dict(dataset_meta)


def class_names_of(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the class names of a checkpoint's model in the order of its labels, if known.

    They are read from the metadata of mmengine or mmcv 1.x; COCO models are recognized by their
    number of classes.

    Raises:
        DamagedCheckpointError: if they are not a list of names.
    """
    dataset_meta = dataset_meta_of(checkpoint)
    meta = checkpoint.get('meta') or {}
    for source, key in ((dataset_meta, 'classes'), (dataset_meta, 'CLASSES'), (meta, 'CLASSES')):
        names = source.get(key)
        if names is None or (isinstance(names, Sequence) and not names):
            continue
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return tuple(names)
        raise DamagedCheckpointError(
            f"the checkpoint's meta has {key} = {reprlib.repr(names)}, not a list of names"
        )
    weights = checkpoint.get('state_dict', checkpoint)
    items = weights.items() if isinstance(weights, Mapping) else ()
    weights = rename_mask2former_vis(
        {key: x for key, x in items if isinstance(key, str) and isinstance(x, Tensor) and x.ndim}
    )
    bias = weights.get(CLASS_BIAS, weights.get(KMAX_CLASS_BIAS))
    return None if bias is None else _coco_classes(len(bias) - 1)


def category_ids_of(checkpoint: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the category ids of a checkpoint's classes, if it has all of them.

    Raises:
        DamagedCheckpointError: if they are not distinct integers, one per class.
    """
    ids = dataset_meta_of(checkpoint).get('category_ids')
    if ids is None:
        return None
    listed = isinstance(ids, list | tuple)
    num_classes = len(class_names_of(checkpoint) or (listed and ids) or '')
    # If the data lacked some of the classes, as COCO does, not all classes have an id.
    if listed and len(ids) == num_classes and any(number is None for number in ids):
        return None
    plain = listed and all(type(number) is int for number in ids)
    if not plain or len(set(ids)) != num_classes or len(ids) != num_classes:
        raise DamagedCheckpointError(
            f"the checkpoint's meta.dataset_meta.category_ids is {reprlib.repr(ids)}, not "
            f'{num_classes} distinct integers, one per class; use a different file'
        )
    return tuple(ids)


def _as_dict(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise DamagedCheckpointError(
            f'checkpoint {path} is a {type(content).__name__}, not a dict of weights'
        )
    return dict(content)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _coco_classes(number: int) -> tuple[str, ...] | None:
    """Return COCO's class names if the number of classes matches."""
    from mmdet.datasets import CocoDataset, CocoPanopticDataset

    known = {_COCO_THINGS: CocoDataset, _COCO_PANOPTIC: CocoPanopticDataset}
    return known[number].METAINFO['classes'] if number in known else None


def _advice(weights: Mapping[str, Any], report: AdaptationReport) -> str:
    if is_release_state_dict(weights):
        return 'It is a checkpoint of the public release; convert it with axialvs convert release'
    for bias in (CLASS_BIAS, KMAX_CLASS_BIAS):
        if bias in report.mismatched:
            theirs, ours = (shape[0] - 1 for shape in report.mismatched[bias])
            return f'It has {theirs} classes and the config {ours}; use the matching config'
    return 'Use the config that it was trained with'
