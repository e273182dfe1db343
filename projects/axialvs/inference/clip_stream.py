"""Groups the frames of a source into clips while they are read."""

from collections.abc import Iterable, Iterator
from itertools import islice

from axialvs.association.clip_splitting import SplitMode, split_video
from axialvs.inference.video_reader import Frame


def stream_clips(
    frames: Iterable[Frame],
    clip_length: int,
    split_mode: SplitMode = 'repeat_last',
    num_frames: int | None = None,
) -> Iterator[list[Frame]]:
    """Yields clips of frames; no more than one clip is held.

    Args:
        frames: the source, in order.
        clip_length: T.
        split_mode: 'shorten' needs to know the length beforehand; where it is unknown, or the
            source ends early, the last clip is as short as it comes.
        num_frames: L, if known.
    """
    frames = iter(frames)
    if split_mode == 'shorten' and num_frames:
        for clip in split_video(num_frames, clip_length, split_mode):
            if chunk := list(islice(frames, clip.length)):
                yield chunk
    while chunk := list(islice(frames, clip_length)):
        yield chunk
