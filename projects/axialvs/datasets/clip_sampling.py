"""Which frames make up a training clip, and from which frames a clip may start."""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def start_frames(
    visible: NDArray[np.bool_], clip_length: int, frame_range: int = 0
) -> NDArray[np.int64]:
    """Key frames whose clip shows at least one object for certain.

    Args:
        visible: (L,) bool, whether a frame shows an object that is a training target.
        clip_length: Frames of a clip, T.
        frame_range: As in `sample_frames`.

    Returns:
        The frames in order. With `frame_range` 0 those from which T frames on, which all lie in
        the video where it is long enough, hold a visible object. Otherwise those that show one
        themselves, as their neighbours are drawn.
    """
    if frame_range:
        return np.flatnonzero(visible)
    last_start = max(0, len(visible) - clip_length)
    seen = np.concatenate(([0], np.cumsum(visible)))
    starts = np.arange(last_start + 1)
    ends = np.minimum(starts + clip_length, len(visible))
    return starts[seen[ends] > seen[starts]]


def sample_frames(
    num_frames: int, key_frame: int, clip_length: int, frame_range: int = 0
) -> Sequence[int]:
    """Draws the frames of a training clip (paper, section 4.3, clip sampling range).

    Draws come from Python's global generator; `random_state` makes them repeatable.

    Args:
        num_frames: Frames of the video, L.
        key_frame: The frame that the clip is made around.
        clip_length: Frames of the clip, T.
        frame_range: 0 for T consecutive frames from the key frame on. r > 0 for the key frame
            and T - 1 others from within r frames of it; near a border, where there are too few,
            the nearest frames beyond r are taken in.

    Returns:
        T frame indices in rising order. Where the video is shorter than T, all its frames with
        the last one repeated.
    """
    if num_frames <= clip_length:
        frames = list(range(num_frames))
    elif frame_range == 0:
        frames = list(range(key_frame, min(key_frame + clip_length, num_frames)))
    else:
        nearest = sorted(range(num_frames), key=lambda frame: abs(frame - key_frame))[1:]
        within = [frame for frame in nearest if abs(frame - key_frame) <= frame_range]
        candidates = nearest[: max(len(within), clip_length - 1)]
        frames = sorted([key_frame, *random.sample(candidates, clip_length - 1)])
    return frames + frames[-1:] * (clip_length - len(frames))
