"""Write frames to an H.264 video with the timestamps and the sound of its source."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from axialvs.inference.sound import SoundTrack
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import check_writable, partial_path

SUFFIXES = ('.mp4', '.m4v', '.mov')
TICKS = 90_000
"""Resolution of the timestamps, per second."""
_NOMINAL_RATE = 25.0
_X264_OPTIONS = MappingProxyType({'crf': '20', 'preset': 'veryfast'})


class VideoWriter:
    """Write frames as H.264 in yuv420p, with the header in front (faststart).

    The file is written under a temporary name, see `partial_path`, and renamed when it is closed.
    In a `with` block, it is also finished if the block raises an error, so that the frames so far
    can be watched; if writing itself fails, it is deleted. Without frames, no file is created.

    Args:
        path: output file, ending in .mp4, .m4v or .mov. Folders are created as needed.
        fps: frame rate of frames without a timestamp; also sets the duration of the last frame.
        audio_from: file whose sound is copied, up to the end of the video; or None.
        odd: how to make an odd width or height even, as required by yuv420p: 'pad' repeats the last
            column or row, 'crop' removes it.
        options: options of the x264 encoder.

    Raises:
        AxialVSError: for an unknown suffix, a rate that is not positive, or a path that is also the
            source of the sound.
        OSError: if the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float | Fraction | None = None,
        audio_from: str | Path | None = None,
        odd: Literal['pad', 'crop'] = 'pad',
        options: Mapping[str, str] = _X264_OPTIONS,
    ) -> None:
        self.path = Path(path)
        self.num_frames = 0
        if self.path.suffix.lower() not in SUFFIXES:
            raise AxialVSError(f'{path}: a video is written as {", ".join(SUFFIXES)}; rename it')
        if fps is not None and not fps > 0:
            raise AxialVSError(f'{path}: fps {fps} must be positive')
        if odd not in ('pad', 'crop'):
            raise AxialVSError(f"{path}: unknown odd '{odd}'; use 'pad' or 'crop'")
        self._audio_from = None if audio_from is None else Path(audio_from)
        if self._audio_from is not None and self._audio_from.resolve() == self.path.resolve():
            raise AxialVSError(f'{path}: refusing to overwrite the source; choose a different path')
        check_writable(self.path)
        self._fps = None if fps is None else Fraction(fps).limit_denominator(TICKS)
        self._odd = odd
        self._options = dict(options)
        self._partial = partial_path(self.path)
        self._container: av.container.OutputContainer | None = None
        self._sound: SoundTrack | None = None
        self._last_tick = -1

    @property
    def sound_problem(self) -> str | None:
        """Why the sound ends before the video, or None."""
        return None if self._sound is None else self._sound.problem

    def write(self, image: np.ndarray, timestamp: float | None = None) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3) uint8 RGB, of the size of the first frame.
            timestamp: in seconds; None continues at the writer's `fps`. A time that is not later
                than that of the previous frame is moved just after it.

        Raises:
            AxialVSError: for an image of a different shape or dtype, or if there is neither a
                timestamp nor a rate.
            OSError: if writing fails, for example on a full disk; the file is deleted.
        """
        self._check(image)
        tick = self._tick(timestamp)
        self._guard(lambda: self._write(image, tick))
        self._last_tick = tick
        self.num_frames += 1

    def _write(self, image: np.ndarray, tick: int) -> None:
        if self._container is None:
            self._open(image)
        assert self._container is not None
        # Interleave sound and video, otherwise the muxer would buffer one of them.
        if self._sound is not None:
            self._sound.write_until(tick / TICKS)
        frame = av.VideoFrame.from_ndarray(self._even(image), format='rgb24')
        frame = frame.reformat(
            format='yuv420p', dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = tick, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and rename it; further calls have no effect."""
        if self._container is not None:
            self._guard(self._finish)

    def _finish(self) -> None:
        container, self._container = self._container, None
        assert container is not None
        try:
            if self._sound is not None:
                self._sound.close(self._last_tick / TICKS + float(1 / self._rate()))
            container.mux(self._stream.encode())
        finally:
            container.close()
        self._partial.replace(self.path)

    def _guard(self, step: Callable[[], None]) -> None:
        """Run a writing step; on an OSError, delete the file and raise an error with its name."""
        try:
            step()
        except OSError as error:
            self._discard()
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def _discard(self) -> None:
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except (OSError, av.FFmpegError):
            pass  # the original error is reported
        finally:
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rate(self) -> Fraction:
        return self._fps or Fraction(_NOMINAL_RATE)

    def _check(self, image: np.ndarray) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise AxialVSError(
                f'{self.path}: a frame must be (H, W, 3) uint8, not {image.shape} {image.dtype}'
            )
        if self._container is not None and image.shape[:2] != self._shape:
            raise AxialVSError(
                f'{self.path}: frame {self.num_frames} has (height, width) {image.shape[:2]}, '
                f'previous frames {self._shape}; resize all frames to one size'
            )

    def _tick(self, timestamp: float | None) -> int:
        if timestamp is None:
            if self._fps is None:
                raise AxialVSError(f'{self.path}: give fps or the timestamp of each frame')
            timestamp = float(self.num_frames / self._fps)
        return max(round(timestamp * TICKS), self._last_tick + 1)

    def _even(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if self._odd == 'crop':
            image = image[: height - height % 2, : width - width % 2]
        elif height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(image)

    def _open(self, image: np.ndarray) -> None:
        self._shape = image.shape[:2]
        # The muxer cannot infer its format from the name of the partial file.
        container = av.open(
            f'file:{self._partial}', 'w', format='mp4', options={'movflags': '+faststart'}
        )
        self._container = container
        stream = container.add_stream('libx264', rate=self._rate(), options=self._options)
        stream.height, stream.width = self._even(image).shape[:2]
        stream.pix_fmt = 'yuv420p'
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, TICKS)
        # Without these, players guess the color space from the size of the video.
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._stream = stream
        if self._audio_from is not None:
            try:
                self._sound = SoundTrack(self._audio_from, container)
            except AxialVSError:
                self._discard()
                raise
