"""The few names that a Python user needs: build a segmenter, segment a video."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope

import axialvs.register  # noqa: F401
from axialvs.checkpoints import (
    CheckpointError,
    class_names_of,
    load_checkpoint_safely,
    load_weights,
)
from axialvs.datasets.class_names import resolve_class_list
from axialvs.inference.pipeline import Mode, Protocol, VideoResult
from axialvs.inference.readers import VideoReader
from axialvs.structures import ClipPrediction, ClipResult, Track, VideoPrediction
from axialvs.utils.env import find_device
from axialvs.utils.errors import AxialVSError

__all__ = [
    'ClipPrediction',
    'ClipResult',
    'Track',
    'VideoPrediction',
    'VideoResult',
    'init_segmenter',
    'segment_video',
]


def init_segmenter(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    precision: torch.dtype | None = None,
    compiled: bool | Mapping = False,
) -> torch.nn.Module:
    """Builds a segmenter in evaluation mode.

    Args:
        config: a config or its file.
        checkpoint: weights, read without executing anything they hold; random weights without.
        device: 'cpu', 'cuda', 'cuda:1' ...; None for a GPU where torch sees one, else the CPU.
        precision: `torch.bfloat16` or `torch.float16` runs the network's products in half
            precision; None in the weights' own.
        compiled: whether `torch.compile` makes backbone and head quicker, which takes minutes at
            the first clip of each size and pays on a GPU; or the options of `torch.compile`.

    Returns:
        The model, with `predict_clip` and `predict_video`, and `class_names`, `category_ids`.

    Raises:
        FileNotFoundError: if a file is missing.
        CheckpointError: if the weights do not fit the config.
        ValueError: if the device is not here.
    """
    device = find_device(device)
    config = config if isinstance(config, Config) else Config.fromfile(str(config))
    init_default_scope(config.get('default_scope', 'mmdet'))
    model = MODELS.build(config.model)
    dataset = config.test_dataloader.dataset
    model.cfg = config
    model.clip_length = dataset.clip_length
    model.split_mode = dataset.get('split_mode', model.split_mode)
    loaded = {}
    if checkpoint is not None:
        load_weights(model, checkpoint)
        loaded = load_checkpoint_safely(checkpoint)
    model.class_names, model.category_ids = _classes(model.num_classes, loaded, config)
    model.precision = precision
    if compiled is not False:
        model.compile(**(compiled if isinstance(compiled, Mapping) else {}))
    return model.to(device).eval()


def _classes(
    num_classes: int, checkpoint: dict, config: Config
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names and category ids: the checkpoint's, else the config's, else numbers."""
    listed = config.test_dataloader.dataset.get('classes')
    names = class_names_of(checkpoint) if checkpoint else None
    if names is None and listed is not None:
        names = resolve_class_list(listed)
    if names is None:
        names = tuple(f'class {i + 1}' for i in range(num_classes))
    if len(names) != num_classes:
        raise CheckpointError(
            f'{config.filename}: the model has {num_classes} classes, but {len(names)} are named: '
            f'{", ".join(names)}'
        )
    meta = checkpoint.get('meta') or {}
    dataset_meta = meta.get('dataset_meta') or {}
    category_ids = tuple(dataset_meta.get('category_ids') or ())
    # A file that lacks some of the classes, as COCO does, numbers them only in part.
    if not category_ids or None in category_ids:
        category_ids = tuple(range(1, num_classes + 1))
    return names, category_ids


def segment_video(
    model: torch.nn.Module,
    source: str | Path | VideoReader,
    mode: Mode = 'near-online',
    protocol: Protocol | None = None,
    score_threshold: float | None = None,
    classes: Sequence[str] | None = None,
    max_frames: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> VideoResult:
    """Segments a video file, a folder of frames, a camera or frames of one's own.

    Args:
        model: of `init_segmenter`.
        source: path, the number of a camera, or a `VideoReader` of one's own.
        mode: 'near-online', clip by clip, or 'offline', clips refined together.
        protocol: 'live' decides as it goes, the default near-online, offline within a window of
            clips; 'scored' chooses the tracks by the whole video, the default offline.
        score_threshold: from which score a track is shown; the config's by default.
        classes: names of the classes wanted; all by default.
        max_frames: stop after so many frames.
        progress: called with the number of frames that each network call finished.

    Returns:
        An iterable of one `ClipResult` a clip, with `.tracks()`.

    Raises:
        ValueError: for an unknown mode, protocol or class name, or a negative `max_frames`.
        VideoReadError: if the source cannot be read.
    """
    labels = None
    if classes is not None:
        unknown = sorted(set(classes) - set(model.class_names))
        if unknown:
            raise AxialVSError(
                f'unknown class {", ".join(unknown)}; '
                f'the model knows {", ".join(model.class_names)}'
            )
        labels = [model.class_names.index(name) for name in classes]
    source = source if isinstance(source, VideoReader) else str(source)
    return VideoResult(model, source, mode, protocol, score_threshold, labels, max_frames, progress)
