"""Loads a checkpoint file into a model that it has to fit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset, CocoPanopticDataset
from torch import nn

from axialvs.checkpoints.adapting import (
    CLASS_BIAS,
    AdaptationReport,
    adapt_state_dict,
    rename_mask2former_vis,
)
from axialvs.checkpoints.loading import CheckpointError, load_checkpoint_safely, state_dict_of
from axialvs.checkpoints.release_names import is_release_state_dict

# Published COCO checkpoints may not name their classes; the number of rows tells the list.
_CLASSES_BY_COUNT = {
    len(dataset.METAINFO['classes']): dataset.METAINFO['classes']
    for dataset in (CocoDataset, CocoPanopticDataset)
}


class CheckpointMismatchError(CheckpointError):
    """A checkpoint belongs to another model."""


def load_weights(model: nn.Module, path: str | Path) -> AdaptationReport:
    """Loads a checkpoint for inference: every tensor of the model comes from it, none is left.

    mmdet's Mask2Former-VIS checkpoints are renamed on the way.

    Args:
        model: Not wrapped for distributed training.
        path: A local file.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It cannot be read safely, or does not fit the model.
    """
    weights = state_dict_of(load_checkpoint_safely(path), path)
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
