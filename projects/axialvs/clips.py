"""Which frames make a clip: splitting videos for inference, sampling clips for training."""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from axialvs.utils.errors import AxialVSError

SplitMode = Literal['repeat_last', 'shorten']


class Clip(NamedTuple):
    """Consecutive frames that are segmented together.

    Attributes:
        start: index of the first frame in the video.
        length: number of input frames, including padding.
        num_padded: number of frames at the end that repeat the video's last frame.
    """

    start: int
    length: int
    num_padded: int = 0

    @property
    def num_frames(self) -> int:
        """Frames of the video that the clip covers."""
        return self.length - self.num_padded

    def frame_indices(self) -> list[int]:
        """`length` indices of the frames to read, including repetitions."""
        last = self.start + self.num_frames - 1
        return [min(self.start + offset, last) for offset in range(self.length)]


def split_video(num_frames: int, clip_length: int, mode: SplitMode = 'repeat_last') -> list[Clip]:
    """Split `num_frames` frames into consecutive clips without overlap.

    Args:
        num_frames: frames of the video, L >= 1.
        clip_length: frames of a clip, T >= 1.
        mode: 'repeat_last' pads the last clip by repeating the video's last frame (the paper,
            and the release's offline models). 'shorten' shortens the last clips by one frame
            each or, if there are too few clips, only the last clip (the release's near-online
            models).

    Returns:
        The clips in order: ceil(L / T) of them, each frame in exactly one.

    Raises:
        AxialVSError: if a number is below 1 or the mode is unknown.
    """
    if num_frames < 1 or clip_length < 1:
        raise AxialVSError(
            f'num_frames={num_frames}, clip_length={clip_length}: both must be at least 1'
        )
    num_clips = -(-num_frames // clip_length)
    missing = num_clips * clip_length - num_frames
    if mode == 'repeat_last':
        starts = range(0, num_frames, clip_length)
        return [
            Clip(start, clip_length, max(0, start + clip_length - num_frames)) for start in starts
        ]
    if mode != 'shorten':
        raise AxialVSError(f"unknown mode {mode!r}: use 'repeat_last' or 'shorten'")
    lengths = [clip_length] * num_clips
    if missing < num_clips:
        lengths[num_clips - missing :] = [clip_length - 1] * missing
    else:
        lengths[-1] -= missing
    return [Clip(sum(lengths[:index]), length) for index, length in enumerate(lengths)]


def start_frames(
    visible: NDArray[np.bool_], clip_length: int, frame_range: int = 0
) -> NDArray[np.int64]:
    """Return the key frames whose clip always shows an object.

    Args:
        visible: (L,) bool, whether a frame shows an object that is a training target.
        clip_length: frames of a clip, T.
        frame_range: as in `sample_frames`.

    Returns:
        The frames in order. With `frame_range` 0, the start frames of clips that show an object
        and, if the video is long enough, do not exceed it. Otherwise the frames that show an object
        themselves, because the other frames of the clip are random.
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
    """Sample the frames of a training clip (Axial-VS, section 4.3, clip sampling range).

    Draws from the global generator of `random`, which `random_state` seeds.

    Args:
        num_frames: frames of the video, L.
        key_frame: the frame that the clip is sampled around.
        clip_length: frames of the clip, T.
        frame_range: 0 for T consecutive frames starting at the key frame. r > 0 for the key frame
            and T - 1 others at most r frames away; if there are too few, at the start or end of
            the video, the nearest frames beyond r are included.

    Returns:
        T frame indices in ascending order. If the video is shorter than T, all its frames, with
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
