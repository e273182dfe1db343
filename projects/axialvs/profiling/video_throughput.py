"""Frames a second of the whole pipeline, from a video file to masks."""

import statistics
import tempfile
from pathlib import Path

import numpy as np
from torch import nn

from axialvs.apis import segment_video
from axialvs.inference.video_writer import VideoWriter
from axialvs.profiling.timing import time_once

_RATE = 25


def video_throughput(
    model: nn.Module, height: int, width: int, num_frames: int, rounds: int
) -> dict:
    """Segments a generated file live, again and again, its first time not counted.

    With random weights no score says much, so as many tracks are shown as `test_cfg` lets through.

    Args:
        model: of `init_segmenter`.
        height, width: of the file's frames.
        num_frames: of the file.
        rounds: timed runs.

    Returns:
        `video`, `video_frames`, `tracks`, `frames_a_second`.
    """
    device = next(model.parameters()).device
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'noise.mp4'
        images = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), np.uint8)
        with VideoWriter(path, _RATE) as writer:
            for i in range(num_frames):
                writer.write(images[i % len(images)])

        def segment() -> int:
            result = segment_video(model, path, score_threshold=0.0)
            for _ in result:
                pass
            return len(result.tracks())

        tracks = segment()
        seconds = [time_once(segment, device) for _ in range(rounds)]
    return {
        'video': f'{height}x{width}',
        'video_frames': num_frames,
        'tracks': tracks,
        'frames_a_second': num_frames / statistics.median(seconds),
    }
