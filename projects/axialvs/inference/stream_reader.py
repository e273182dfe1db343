"""Frames of a network stream, which is reopened when the connection is lost."""

import logging
import time
from collections.abc import Iterator

from axialvs.inference.readers import DEFAULT_FRAME_RATE, Frame, VideoReadError
from axialvs.inference.video_file import VideoFileReader

DEFAULT_PATIENCE = 30.0
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 4.0  # seconds between attempts to connect
_logger = logging.getLogger('axialvs')


class StreamReader(VideoFileReader):
    """Frames of a URL.

    A stream without a known length is live: it is reopened when it ends, and frame numbers and
    times account for missed frames, estimated by clock and frame rate. Losses are logged as
    warnings.

    Args:
        source: the URL.
        patience: seconds after a loss to try to reopen a live stream; 0 to disable.

    Raises:
        VideoReadError: if it cannot be opened, or no frame can be decoded.
    """

    def __init__(self, source: str, patience: float = DEFAULT_PATIENCE) -> None:
        super().__init__(source)
        self._patience = patience

    def __iter__(self) -> Iterator[Frame]:
        if not self.is_live or not self._patience:
            yield from super().__iter__()
            return
        rate = self.frame_rate or DEFAULT_FRAME_RATE
        num_frames = num_losses = num_missed = 0
        next_index, next_time = 0, 0.0
        lost_at: float | None = None  # monotonic time
        while True:
            offset, shift = next_index, next_time
            arrived = time.monotonic()
            try:
                for frame in super().__iter__():
                    if lost_at is not None:
                        missed = round((time.monotonic() - lost_at) * rate)
                        offset, shift = offset + missed, shift + missed / rate
                        num_missed += missed
                        _logger.warning(
                            '%s: connected again, about %d frames were missed', self.source, missed
                        )
                        lost_at = None
                    yield Frame(offset + frame.index, shift + frame.timestamp, frame.image)
                    num_frames += 1
                    next_index = offset + frame.index + 1
                    next_time = shift + frame.timestamp + 1 / rate
                    arrived = time.monotonic()
            except VideoReadError:
                pass  # no response
            if lost_at is None:
                lost_at, delay = arrived, _FIRST_DELAY
                num_losses += 1
            if time.monotonic() + delay - lost_at > self._patience:
                break
            _logger.warning(
                '%s: connection lost after %d frames; connecting again in %g s',
                *(self.source, num_frames, delay),
            )
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
        self.truncated = f'the stream ended after {num_frames} frames and did not come back'
        if num_losses > 1:
            self.truncated += (
                f'; it had been lost {num_losses - 1} times, about {num_missed} frames are missing'
            )
