"""Writing frames to an H.264 video that browsers play, with the times and sound of its source."""

from collections.abc import Mapping
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

SUFFIXES = ('.mp4', '.m4v', '.mov')
TICKS = 90_000
"""Resolution of the timestamps, a second."""
_NOMINAL_RATE = 25.0
_X264_OPTIONS = MappingProxyType({'crf': '20', 'preset': 'veryfast'})


class VideoWriter:
    """Writes frames as H.264 in yuv420p, with the header in front (faststart).

    The file grows under ``<name>.partial`` and gets its own name when it is closed. Used in a
    ``with`` block it is finished and named also if the block ends with an error, so that the
    frames written until then can be watched. If no frame came, there is no file.

    Args:
        path: The file to write, ending in .mp4, .m4v or .mov. Folders are made as needed.
        fps: Frames a second for frames without a timestamp, and how long the last frame is shown.
        audio_from: A file whose sound is taken over, as far as the video reaches; or None.
        odd: What to do with an odd width or height, which yuv420p cannot have: 'pad' repeats the
            last column or row, 'crop' leaves it away.
        options: Options of the x264 encoder.

    Raises:
        ValueError: For another ending, a rate that is not positive, or a path that is also the
            source of the sound.
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
            raise AxialVSError(f"{path}: odd '{odd}' is unknown; choose 'pad' or 'crop'")
        self._audio_from = None if audio_from is None else Path(audio_from)
        if self._audio_from is not None and self._audio_from.resolve() == self.path.resolve():
            raise AxialVSError(f'{path}: is the source itself and not overwritten; change the name')
        self._fps = None if fps is None else Fraction(fps).limit_denominator(TICKS)
        self._odd = odd
        self._options = dict(options)
        self._partial = self.path.with_name(self.path.name + '.partial')
        self._container: av.container.OutputContainer | None = None
        self._sound: SoundTrack | None = None
        self._last_tick = -1

    @property
    def sound(self) -> str:
        """'none', 'copied' or 'transcoded'; known once the first frame is written."""
        return 'none' if self._sound is None else self._sound.state

    @property
    def sound_problem(self) -> str | None:
        """Why the sound breaks off before the video, or None."""
        return None if self._sound is None else self._sound.problem

    def write(self, image: np.ndarray, timestamp: float | None = None) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3) uint8 RGB, of the same size as the first frame.
            timestamp: When it is shown, in seconds; None continues at the writer's ``fps``. A
                time that is not later than the frame before is moved just behind it.

        Raises:
            ValueError: For an image of another shape or type, or if neither a timestamp nor a
                rate is known.
        """
        self._check(image)
        tick = self._tick(timestamp)
        if self._container is None:
            self._open(image)
        # Sound and pictures are written side by side, or one would wait in memory for the other.
        if self._sound is not None:
            self._sound.write_until(tick / TICKS)
        frame = av.VideoFrame.from_ndarray(self._even(image), format='rgb24')
        frame = frame.reformat(
            format='yuv420p', dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = tick, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))
        self._last_tick = tick
        self.num_frames += 1

    def close(self) -> None:
        """Finish the file and give it its name. Does nothing the second time."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self._sound is not None:
                self._sound.close(self._last_tick / TICKS + float(1 / self._rate()))
            container.mux(self._stream.encode())
        finally:
            container.close()
        self._partial.replace(self.path)

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
                f'the ones before {self._shape}; bring all frames to one size'
            )

    def _tick(self, timestamp: float | None) -> int:
        if timestamp is None:
            if self._fps is None:
                raise AxialVSError(f'{self.path}: give fps or the timestamp of each frame')
            timestamp = self.num_frames / self._fps
        return max(round(timestamp * TICKS), self._last_tick + 1)

    def _even(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if self._odd == 'crop':
            image = image[: height - height % 2, : width - width % 2]
        elif height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(image)

    def _take_over_sound(self, container: av.container.OutputContainer) -> SoundTrack:
        try:
            return SoundTrack(self._audio_from, container)
        except ValueError:
            container.close()
            self._partial.unlink(missing_ok=True)
            raise

    def _open(self, image: np.ndarray) -> None:
        self._shape = image.shape[:2]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The muxer cannot tell its format from the name of the partial file.
        container = av.open(
            f'file:{self._partial}', 'w', format='mp4', options={'movflags': '+faststart'}
        )
        stream = container.add_stream('libx264', rate=self._rate(), options=self._options)
        stream.height, stream.width = self._even(image).shape[:2]
        stream.pix_fmt = 'yuv420p'
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, TICKS)
        # Without these a player guesses the colours from the size of the picture.
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        if self._audio_from is not None:
            self._sound = self._take_over_sound(container)
        self._container, self._stream = container, stream
