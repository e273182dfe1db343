"""Python interface: build a segmenter, segment a video."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope

import axialvs.register  # noqa: F401
from axialvs.checkpoints.hub import find_known
from axialvs.checkpoints.loading import (
    category_ids_of,
    class_names_of,
    load_checkpoint_safely,
    load_weights,
)
from axialvs.datasets.class_names import resolve_class_list
from axialvs.inference.outputs import make_output
from axialvs.inference.pipeline import Protocol, VideoResult, open_video
from axialvs.inference.readers import ColorOrder, VideoReader
from axialvs.inference.segmented_video import describe_run
from axialvs.models.clip_segmenter import ClipSegmenter
from axialvs.structures import ClipPrediction, ClipResult, Track, VideoPrediction
from axialvs.utils.config_files import read_config
from axialvs.utils.env import find_device, limit_threads
from axialvs.utils.errors import AxialVSError
from axialvs.visualization.overlay import DEFAULT_STYLE, OverlayStyle

__all__ = [
    'ClipPrediction',
    'ClipResult',
    'Track',
    'VideoPrediction',
    'VideoResult',
    'init_segmenter',
    'segment_video',
    'write_video',
]


def init_segmenter(
    config: str | Path | Config | None = None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    precision: torch.dtype | None = None,
    compiled: bool | Mapping[str, Any] = False,
    test_cfg: Mapping[str, Any] | None = None,
) -> ClipSegmenter:
    """Build a segmenter in eval mode.

    Sets torch's number of CPU threads in this process to the config's `num_threads` (1 for the tiny
    models) until the next call, unless OMP_NUM_THREADS is set.

    Args:
        config: a config, its file, or its name; None for the config of a known checkpoint.
        checkpoint: a file or the name of a known checkpoint, which is downloaded once. No code in
            it is executed. Random weights if None.
        device: 'cpu', 'cuda', 'cuda:1' ...; None for a GPU if there is one, else the CPU.
        precision: `torch.bfloat16` or `torch.float16` to run the network under autocast.
        compiled: whether to `torch.compile` backbone and head, or options of `torch.compile`.
            Compilation takes minutes at the first clip of each size; use it for long videos on a
            GPU.
        test_cfg: settings that override those of the config's `model.test_cfg`.

    Returns:
        The model, with `predict_clip`, `predict_video`, `class_names` and `category_ids`.

    Raises:
        FileNotFoundError: if a file is missing.
        CheckpointError: if the weights do not fit the config.
        AxialVSError: if the device is not available or a setting is wrong.
    """
    device = find_device(device)
    if config is None:
        known = None if checkpoint is None else find_known(str(checkpoint))
        if known is None or known.config is None:
            raise AxialVSError(f'checkpoint {checkpoint} does not name its config; give `config`')
        config = known.config
    cfg = config if isinstance(config, Config) else read_config(config)
    loaded: dict[str, Any] = {}
    if checkpoint is not None:
        loaded = load_checkpoint_safely(checkpoint)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    limit_threads(cfg.get('num_threads'))
    dataset = cfg.test_dataloader.dataset
    settings = {
        **cfg.model,
        'test_cfg': {**cfg.model.test_cfg, **(test_cfg or {})},
        'clip_length': dataset.clip_length,
        'split_mode': dataset.get('split_mode', 'repeat_last'),
        'precision': precision,
        'class_names': _class_names(loaded, dataset),
        'category_ids': category_ids_of(loaded),
        'test_pipeline': dataset.pipeline,
    }
    model = MODELS.build(settings)
    if checkpoint is not None:
        load_weights(model, checkpoint, loaded)
    if compiled is not False:
        model.compile(**(compiled if isinstance(compiled, Mapping) else {}))
    return model.to(device).eval()


def _class_names(checkpoint: Mapping[str, Any], dataset: Mapping) -> tuple[str, ...] | None:
    """Return the class names of the checkpoint, else of the config's test dataset, else None."""
    names = class_names_of(checkpoint) if checkpoint else None
    if names is None and dataset.get('classes') is not None:
        names = resolve_class_list(dataset['classes'])
    return names


def find_labels(model: ClipSegmenter, classes: Sequence[str]) -> list[int]:
    """Return the labels of class names.

    Raises:
        AxialVSError: for an unknown name.
    """
    unknown = sorted(set(classes) - set(model.class_names))
    if unknown:
        raise AxialVSError(
            f'unknown class {", ".join(unknown)}; the model has {", ".join(model.class_names)}'
        )
    return [model.class_names.index(name) for name in classes]


def segment_video(
    model: ClipSegmenter,
    source: str | Path | int | VideoReader | Iterable[np.ndarray],
    mode: str | None = 'near-online',
    protocol: Protocol | None = None,
    score_thr: float | None = None,
    classes: Sequence[str] | None = None,
    max_frames: int | None = None,
    progress: Callable[[int], None] | None = None,
    color: ColorOrder = 'rgb',
    frame_rate: float | None = None,
    stride: int = 1,
) -> VideoResult:
    """Segment a video file, a folder of frames, a camera, a network stream or frames in memory.

    Args:
        model: from `init_segmenter`.
        source: path or URL, number of a camera, a `VideoReader`, or frames (H, W, 3) uint8 as a
            list, an array (L, H, W, 3) or a generator.
        mode: 'near-online' links clip by clip; 'offline' refines clips together; None for the
            model's default.
        protocol: 'live' (default for near-online) outputs tracks while the video runs, in offline
            mode within a window of clips; 'scored' (default for offline) selects tracks by
            whole-video scores, as in the paper.
        score_thr: minimum score of tracks that are shown and returned. By default, the threshold
            of the config applies to tracks that are shown, and 'scored' returns all tracks.
        classes: names of the classes to keep; all by default.
        max_frames: stop after this many segmented frames.
        progress: called with the number of frames of each finished clip.
        color: channel order of frames in memory.
        frame_rate: frame rate of frames in memory and of folders, for timestamps; 25 by default.
        stride: segment every `stride`-th frame; the others have no masks.

    Returns:
        An iterable of one `ClipResult` per clip, with `.tracks()`.

    Raises:
        AxialVSError: for an unknown mode, protocol or class name.
        VideoReadError: if the source cannot be read.
    """
    labels = None if classes is None else find_labels(model, classes)
    tracker = model.tracker(mode)
    reader = open_video(source, frame_rate, color)
    return VideoResult(
        model, tracker, reader, protocol, score_thr, labels, max_frames, progress, stride
    )


def write_video(
    model: ClipSegmenter,
    source: str | Path | int | VideoReader | Iterable[np.ndarray],
    outputs: Mapping[str, str | Path],
    mode: str = 'near-online',
    style: OverlayStyle = DEFAULT_STYLE,
    score_thr: float | None = None,
    **options: Any,
) -> list[Track]:
    """Segment a video and write its results, as `axialvs segment` does.

    Existing files are overwritten.

    Args:
        model: from `init_segmenter`.
        source: see `segment_video`.
        outputs: files and folders by the name of the command's option, such as
            `{'out': 'overlay.mp4', 'html': 'page.html', 'json': 'tracks.json', 'masks': 'masks'}`.
        mode: 'near-online' or 'offline'.
        style: style of the overlay.
        score_thr: see `segment_video`.
        **options: further arguments of `segment_video`.

    Returns:
        The tracks of the video.

    Raises:
        AxialVSError: for an unknown output, and what `segment_video` raises.
        OSError: if an output cannot be written.
    """
    if 'panoptic' in outputs:
        raise AxialVSError("output 'panoptic': use axialvs segment --panoptic for submissions")
    result = segment_video(model, source, mode, score_thr=score_thr, **options)
    reader = result.reader
    with ExitStack() as stack:
        writers = []
        for name, path in outputs.items():
            writers.append(make_output(name, Path(path), reader, style))
            stack.callback(writers[-1].close)
        for clip in result:
            for writer in writers:
                writer.add(clip, model.class_names)
        video = describe_run(result, model, str(reader.source), mode, None, None, score_thr)
        for writer in writers:
            writer.finish(video)
    return video.tracks
