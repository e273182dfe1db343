"""Frames of a video file or network stream, decoded by PyAV as displayed by a player."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from axialvs.inference.color import deinterlace, describe_conversion, has_alpha, to_rgb
from axialvs.inference.readers import Frame, VideoReader, VideoReadError
from axialvs.utils.addresses import display_name, is_url

_FALLBACK_RATE = 25.0  # for frames without timestamps in files without a frame rate
_TOLERATED_SECONDS = 0.5  # the length in a file's header is not exact
# Demuxers that accept any text or binary file.
_TEXT_DEMUXERS = {'tty', 'bin', 'adf', 'idf', 'xbin'}
_GRID_TOLERANCE = 0.1  # frames
_HTTP = ('http://', 'https://')
# FFmpeg resumes an interrupted download after 0, 1, 3 and 7 seconds.
_RECONNECT = {'reconnect': '1', 'reconnect_delay_max': '7'}
_STREAM_TIMEOUT = 10.0  # seconds without data after which a stream has ended


def open_container(source: str | Path) -> av.container.InputContainer:
    """Open a media file or URL.

    Raises:
        VideoReadError: if it cannot be opened or is not a media file.
    """
    try:
        if is_url(source):
            # UDP would lose packets while the network is running.
            options = {'rtsp_transport': 'tcp'} if str(source).startswith('rtsp') else {}
            options |= _RECONNECT if str(source).startswith(_HTTP) else {}
            timeout = _STREAM_TIMEOUT, _STREAM_TIMEOUT
            container = av.open(
                str(source), options=options, timeout=timeout, metadata_errors='replace'
            )
        else:
            # Without the prefix, a colon in a file name would be parsed as a protocol.
            container = av.open(f'file:{source}', metadata_errors='replace')
    except PermissionError as error:
        raise VideoReadError(f'{source}: may not be read; check its permissions') from error
    except (av.FFmpegError, OSError, ValueError) as error:
        if is_url(source):
            raise VideoReadError(
                f'{display_name(source)}: cannot be opened ({_reason(error)}); check the address, '
                'user and password in it, and that a player opens it on this machine'
            ) from error
        raise VideoReadError(
            f'{source}: is not a video that FFmpeg can read ({_reason(error)}); '
            'use a video file, a folder of images, a camera number or a URL'
        ) from error
    if container.format.name in _TEXT_DEMUXERS:
        container.close()
        raise VideoReadError(f'{source}: is a text or binary file, not a video')
    return container


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Rotate and mirror an image (H, W, 3) by its display matrix.

    The matrix maps stored directions to displayed ones: its rows are the images of 'right' and
    'down'. It is rounded to the nearest combination of a quarter turn and a mirroring.

    Args:
        image: as stored.
        matrix: (3, 3) integers in FFmpeg's order, or None for an upright image.
    """
    if matrix is None:
        return image
    (right_x, right_y), (down_x, down_y) = matrix[:2, :2].astype(np.int64)
    if abs(right_x) + abs(down_y) >= abs(right_y) + abs(down_x):
        flip_x, flip_y = right_x < 0, down_y < 0
    else:
        image, flip_x, flip_y = image.transpose(1, 0, 2), down_x < 0, right_y < 0
    image = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(image)


def fit_into(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale an image to a size, keeping the aspect ratio by black bars."""
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    new_width = min(width, max(1, round(image.shape[1] * scale)))
    new_height = min(height, max(1, round(image.shape[0] * scale)))
    left, top = (width - new_width) // 2, (height - new_height) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + new_height, left : left + new_width] = cv2.resize(
        image, (new_width, new_height), interpolation=cv2.INTER_AREA
    )
    return canvas


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return f'no data for {_STREAM_TIMEOUT:g} s'
    return getattr(error, 'strerror', None) or str(error)


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    try:
        data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # unknown type of side data
        angle = np.deg2rad(frame.rotation)
        if not angle:
            return None
        cosine, sine = np.rint((np.cos(angle), np.sin(angle))).astype(np.int64)
        return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return None if data is None else np.frombuffer(data, np.int32).reshape(3, 3).copy()


class _Decoded(NamedTuple):
    """A decoded frame and its number in the stream."""

    position: int
    frame: av.VideoFrame


class _Decoder:
    """One pass over a stream, which counts and skips frames that cannot be decoded."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self.container = container
        self.stream = stream
        self.num_good = 0
        self.num_cut = 0  # frames that are marked as not displayed in the file
        self.problems: list[str] = []
        self._timeout: str | None = None  # why the stream has ended
        self._lost: list[int | None] = []  # presentation times of undecodable frames
        self._next = 0  # number of the next frame
        self._first_time: float | None = None
        self._on_grid = True  # whether the frame rate has been constant so far

    def __iter__(self) -> Iterator[_Decoded]:
        for packet in self._packets():
            self.num_cut += packet.is_discard
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._lose(packet.pts if packet.pts is not None else packet.dts, _reason(error))
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._lose(frame.pts, 'a damaged frame')
                    continue
                yield self._count(frame)

    def _count(self, frame: av.VideoFrame) -> _Decoded:
        if self._first_time is None:
            start, base = self.stream.start_time, self.stream.time_base
            is_first = not self.problems or start is None or base is None
            self._first_time = frame.time if is_first else float(start * base)
        position, grid = self._next + self._lost_before(frame.pts), self._grid_position(frame)
        if not self.problems:
            self._on_grid &= grid == position
        elif self._on_grid:
            position = max(position, grid)
        self.num_good += 1
        self._next = position + 1
        return _Decoded(position, frame)

    def _grid_position(self, frame: av.VideoFrame) -> int:
        """Compute the frame number from the time if the frame rate is constant, else return 0."""
        rate = self.stream.average_rate
        if frame.time is None or self._first_time is None or not rate:
            return 0
        position = (frame.time - self._first_time) * float(rate)
        return round(position) if abs(position - round(position)) < _GRID_TOLERANCE else 0

    def _lose(self, pts: int | None, reason: str) -> None:
        self.problems.append(reason)
        self._lost.append(pts)

    def _lost_before(self, pts: int | None) -> int:
        """Count lost frames that are displayed before a time and have not been counted yet."""
        before = [x for x in self._lost if x is None or pts is None or x < pts]
        self._lost = [x for x in self._lost if x not in before]
        return len(before)

    def _packets(self) -> Iterator[av.Packet]:
        try:
            yield from self.container.demux(self.stream)
        except av.error.ExitError as error:
            self._timeout = _reason(error)
        except av.FFmpegError as error:
            self.problems.append(_reason(error))

    def verdict(self, end: float) -> str | None:
        """Return why there are fewer frames than stated in the file, or None.

        Args:
            end: end of the last frame in seconds.
        """
        claimed, seconds = self.stream.frames - self.num_cut, self._claimed_seconds()
        if self._timeout:
            return f'{self._timeout} after {self.num_good} frames'
        if self.problems:
            return (
                f'{self.num_good} frames are intact, the rest is corrupted: '
                f'{len(self.problems)} x "{self.problems[0]}"'
            )
        # AVI includes null frames, which fill gaps between timestamps, in its count.
        counts_frames = self.container.format.name != 'avi'
        if counts_frames and claimed > self.num_good:
            return f'the file should have {claimed} frames, but ends after {self.num_good}'
        by_time = not (counts_frames and self.stream.frames)
        if by_time and seconds is not None and seconds > end + _TOLERATED_SECONDS:
            return f'the file should have {seconds:.2f} s, but ends after {end:.2f} s'
        return None

    def _claimed_seconds(self) -> float | None:
        """Return the duration of the stream according to the file, or None if unknown."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        others = [s for s in self.container.streams if s.index != self.stream.index]
        if others or self.container.duration is None:  # sound may be longer than the video
            return None
        return self.container.duration / av.time_base


class VideoFileReader(VideoReader):
    """Frames of a video file or URL; `StreamReader` also reconnects to live streams.

    Frames are converted as in a player: rotated upright, with square pixels, HDR tone-mapped,
    transparency over black, interlaced frames with one field; `notes` lists the conversions.
    Corrupted frames are skipped; their numbers are not reused, and `truncated` describes the loss.

    Args:
        source: path or URL.

    Raises:
        VideoReadError: if the file does not exist, is not a video, or no frame can be decoded.
    """

    def __init__(self, source: str | Path) -> None:
        super().__init__()
        self.source = display_name(source)
        self._address = source
        if not is_url(source) and not Path(source).is_file():
            raise VideoReadError(f'{source}: no such file; check the name')
        with open_container(source) as container:
            self.is_live = is_url(source) and container.duration is None
            self.can_rewind = not is_url(source) or (
                str(source).startswith(_HTTP) and not self.is_live
            )
            stream = self._stream(container)
            rate = stream.average_rate or stream.guessed_rate
            self.frame_rate = float(rate) if rate else None
            self.num_frames = stream.frames or None
            decoder = _Decoder(container, stream)
            first = next((x.frame for x in decoder), None)
            if first is None:
                reason = f' ({decoder.problems[0]})' if decoder.problems else ''
                raise VideoReadError(
                    f'{self.source}: has a video stream without a single readable frame{reason}; '
                    'the file is empty or corrupted; record or download it again'
                )
            ratio = stream.sample_aspect_ratio
            self._pixel_ratio = float(ratio) if ratio else 1.0
            self._stored_size = first.width, first.height
            # Only read it once: a PyAV frame and its side data form a reference cycle, which stays
            # in memory until the garbage collector runs.
            self._matrix = _display_matrix(first)
            self.height, self.width = self._upright(first).shape[:2]
            self._note_conversions(first, stream)

    def _stream(self, container: av.container.InputContainer) -> av.VideoStream:
        streams = [
            s
            for s in container.streams.video
            if s.codec_context is not None and not s.disposition & Disposition.attached_pic
        ]
        if not streams:
            kinds = ', '.join(sorted({s.type for s in container.streams})) or 'nothing'
            raise VideoReadError(f'{self.source}: has {kinds} but no video; use a video file')
        largest = max(streams, key=lambda s: s.width * s.height)
        if len(streams) > 1:
            self.note(
                f'the file has {len(streams)} video streams; the largest, number {largest.index} '
                f'with {largest.width}x{largest.height} pixels, is read'
            )
        return largest

    def _note_conversions(self, frame: av.VideoFrame, stream: av.VideoStream) -> None:
        if conversion := describe_conversion(frame):
            self.note(conversion)
        if self._pixel_ratio != 1:
            ratio = stream.sample_aspect_ratio
            self.note(
                f'pixels are not square ({ratio.numerator}:{ratio.denominator}); frames are scaled '
                f'from {frame.width}x{frame.height} to {self.width}x{self.height}'
            )
        if has_alpha(frame):
            self.note('transparent parts are black')

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        """Convert to (H, W, 3) uint8 RGB with square pixels, oriented like the first frame."""
        image = to_rgb(frame)
        if frame.interlaced_frame:
            self.note('interlaced frames are shown with one field')
            image = deinterlace(image)
        if self._pixel_ratio != 1:
            width, height = image.shape[1], image.shape[0]
            size = max(1, round(width * self._pixel_ratio)), height
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        return upright(image, self._matrix)

    def _image(self, frame: av.VideoFrame) -> np.ndarray:
        """Scale a frame to the size of the first one if it differs."""
        image = self._upright(frame)
        if (frame.width, frame.height) != self._stored_size:
            self.note(
                f'frames change size within the video ({frame.width}x{frame.height} after '
                f'{self._stored_size[0]}x{self._stored_size[1]}); they are scaled with black bars'
            )
        return fit_into(image, self.width, self.height)

    def __iter__(self) -> Iterator[Frame]:
        self.truncated = None
        step = 1 / (self.frame_rate or _FALLBACK_RATE)
        with open_container(self._address) as container:
            # Times of video and sound are relative to the start of the file, to keep their offset.
            start = (container.start_time or 0) / av.time_base
            decoder = _Decoder(container, self._stream(container))
            time, is_timed = -step, False  # of a virtual frame before the first
            for position, frame in decoder:
                if frame.time is None:
                    time += step
                else:
                    if not is_timed and time >= 0:  # RTSP: earlier frames had no timestamp
                        start = frame.time - time - step
                    time, is_timed = frame.time - start, True
                yield Frame(position, time, self._image(frame))
            self.truncated = decoder.verdict(time + step)
