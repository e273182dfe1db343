"""The few names that a Python user needs: build a segmenter, segment a video."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope

from axialvs.checkpoints.loading import CheckpointError, load_checkpoint_safely, state_dict_of
from axialvs.datasets.class_lists import resolve_class_list
from axialvs.inference.video_result import Protocol, VideoResult
from axialvs.structures import ClipPrediction, ClipResult, Track, VideoPrediction

__all__ = [
    'ClipPrediction',
    'ClipResult',
    'Track',
    'VideoPrediction',
    'VideoResult',
    'init_segmenter',
    'segment_video',
]

# Names listed in an error before it says how many more there are.
_NAMES_SHOWN = 5


def init_segmenter(
    config: str | Path | Config, checkpoint: str | Path | None = None, device: str = 'cpu'
) -> torch.nn.Module:
    """Builds a segmenter in evaluation mode.

    Args:
        config: a config or its file.
        checkpoint: weights, read without executing anything they hold; random weights without.
        device: 'cpu', 'cuda', 'cuda:1' ...

    Returns:
        The model, with `predict_clip` and `predict_video`, and `class_names`, `category_ids`.

    Raises:
        FileNotFoundError: if a file is missing.
        CheckpointError: if the weights do not fit the config.
    """
    config = config if isinstance(config, Config) else Config.fromfile(str(config))
    init_default_scope(config.get('default_scope', 'mmdet'))
    model = MODELS.build(config.model)
    dataset = config.test_dataloader.dataset
    model.cfg = config
    model.clip_length = dataset.clip_length
    model.split_mode = dataset.get('split_mode', model.split_mode)
    meta = {}
    if checkpoint is not None:
        loaded = load_checkpoint_safely(checkpoint)
        _load_weights(model, state_dict_of(loaded, checkpoint), str(checkpoint))
        meta = loaded.get('meta', {}).get('dataset_meta') or {}
    model.class_names, model.category_ids = _classes(
        model.num_classes, meta, dataset.get('classes'), config
    )
    return model.to(device).eval()


def _load_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """Loads all weights or says which do not fit."""
    own = model.state_dict()
    renamed = {
        key.replace('track_head.', 'panoptic_head.', 1): value for key, value in weights.items()
    }
    problems = {
        'missing': [key for key in own if key not in renamed],
        'unknown': [key for key in renamed if key not in own],
        'of another shape': [
            f'{key} {tuple(renamed[key].shape)} instead of {tuple(own[key].shape)}'
            for key in own
            if key in renamed and renamed[key].shape != own[key].shape
        ],
    }
    complaints = [
        f'{len(names)} {kind}: {_first_names(names)}' for kind, names in problems.items() if names
    ]
    if complaints:
        raise CheckpointError(
            f'{name}: the weights do not fit the config ({"; ".join(complaints)}); give the config '
            'that they were trained with'
        )
    model.load_state_dict(renamed)


def _first_names(names: list[str]) -> str:
    return ', '.join(names[:_NAMES_SHOWN]) + (' ...' if len(names) > _NAMES_SHOWN else '')


def _classes(
    num_classes: int, meta: dict, listed: str | Sequence[str] | None, config: Config
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names and category ids: the checkpoint's, else the config's, else numbers."""
    names = meta.get('classes')
    if names is None:
        names = (
            resolve_class_list(listed)
            if listed is not None
            else [f'class {i + 1}' for i in range(num_classes)]
        )
    if len(names) != num_classes:
        raise CheckpointError(
            f'{config.filename}: the model has {num_classes} classes, but {len(names)} are named: '
            f'{", ".join(names)}'
        )
    return tuple(names), tuple(meta.get('category_ids') or range(1, num_classes + 1))


def segment_video(
    model: torch.nn.Module,
    source: str | Path,
    mode: str = 'near-online',
    protocol: Protocol = 'live',
    score_threshold: float | None = None,
    classes: Sequence[str] | None = None,
    max_frames: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> VideoResult:
    """Segments a video file, a folder of frames or a camera.

    Args:
        model: of `init_segmenter`.
        source: path, or the number of a camera.
        mode: 'near-online', clip by clip.
        protocol: 'live' decides as it goes; 'scored' chooses the tracks by averages over the whole
            video.
        score_threshold: from which score a track is shown; the config's by default.
        classes: names of the classes wanted; all by default.
        max_frames: stop after so many frames.
        progress: called with the number of frames that each network call finished.

    Returns:
        An iterable of one `ClipResult` a clip, with `.tracks()`.

    Raises:
        ValueError: for an unknown mode, protocol or class name.
        VideoReadError: if the source cannot be read.
    """
    if mode != 'near-online':
        raise ValueError(f"mode is '{mode}'; this model knows 'near-online'")
    if protocol not in ('live', 'scored'):
        raise ValueError(f"protocol is '{protocol}', not 'live' or 'scored'")
    labels = None
    if classes is not None:
        unknown = sorted(set(classes) - set(model.class_names))
        if unknown:
            raise ValueError(
                f'unknown class {", ".join(unknown)}; '
                f'the model knows {", ".join(model.class_names)}'
            )
        labels = [model.class_names.index(name) for name in classes]
    return VideoResult(model, str(source), protocol, score_threshold, labels, max_frames, progress)
