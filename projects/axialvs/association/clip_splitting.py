"""Cuts a video into consecutive clips, by the paper's rule or by the public release's."""

from typing import Literal, NamedTuple

SplitMode = Literal['repeat_last', 'shorten']


class Clip(NamedTuple):
    """A run of frames that is segmented at once.

    Attributes:
        start: Index of the first frame in the video.
        length: Frames that the model gets, padded ones included.
        num_padded: How many of them, at the end, repeat the video's last frame.
    """

    start: int
    length: int
    num_padded: int = 0

    @property
    def num_frames(self) -> int:
        """Frames of the video that the clip covers."""
        return self.length - self.num_padded

    def frame_indices(self) -> list[int]:
        """Indices of the frames to read, `length` of them, repetitions included."""
        last = self.start + self.num_frames - 1
        return [min(self.start + offset, last) for offset in range(self.length)]


def split_video(num_frames: int, clip_length: int, mode: SplitMode = 'repeat_last') -> list[Clip]:
    """Splits `num_frames` frames into clips that follow each other without overlap.

    Args:
        num_frames: Frames of the video, L >= 1.
        clip_length: Frames of a clip, T >= 1.
        mode: 'repeat_last' completes the last clip by repeating the video's last frame (the
            paper, and the release's offline half). 'shorten' takes the missing frames one each
            from the last clips, or, where there are too few clips for that, all from the very
            last (the release's near-online half).

    Returns:
        The clips in order: ceil(L / T) of them, each frame in exactly one.

    Raises:
        ValueError: A number is below 1 or the mode is unknown.
    """
    if num_frames < 1 or clip_length < 1:
        raise ValueError(
            f'num_frames={num_frames}, clip_length={clip_length}: both must be 1 or more.'
        )
    num_clips = -(-num_frames // clip_length)
    missing = num_clips * clip_length - num_frames
    if mode == 'repeat_last':
        starts = range(0, num_frames, clip_length)
        return [
            Clip(start, clip_length, max(0, start + clip_length - num_frames)) for start in starts
        ]
    if mode != 'shorten':
        raise ValueError(f"mode={mode!r}: known are 'repeat_last' and 'shorten'.")
    lengths = [clip_length] * num_clips
    if missing < num_clips:
        lengths[num_clips - missing :] = [clip_length - 1] * missing
    else:
        lengths[-1] -= missing
    return [Clip(sum(lengths[:index]), length) for index, length in enumerate(lengths)]
