"""Frames of a video file, decoded by PyAV, turned upright, with their own timestamps."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from axialvs.inference.readers import Frame, VideoReader, VideoReadError

_FALLBACK_RATE = 25.0  # spaces frames which have no timestamp in a file without a frame rate
_TOLERATED_SECONDS = 0.5  # a file's claim about its length is not exact


def open_container(path: Path) -> av.container.InputContainer:
    """Open a media file.

    Raises:
        VideoReadError: If it cannot be opened or is no media file.
    """
    try:
        # The prefix keeps a colon in a file name from being taken for a protocol.
        return av.open(f'file:{path}', metadata_errors='replace')
    except PermissionError as error:
        raise VideoReadError(f'{path}: may not be read; check its permissions') from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoReadError(
            f'{path}: is not a video that FFmpeg can read ({_reason(error)}); '
            f'give a video file, a folder of images or the number of a camera'
        ) from error


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turn and mirror an image (H, W, 3) as its display matrix says.

    The matrix maps a stored direction (right, down) to a displayed one: rows are what becomes of
    'right' and of 'down'. Only quarter turns and mirrorings occur in practice; anything else is
    taken for the nearest of them.

    Args:
        image: The stored image.
        matrix: (3, 3) integers in FFmpeg's order, or None for an image that is upright already.
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


def _reason(error: Exception) -> str:
    return getattr(error, 'strerror', None) or str(error)


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    return None if data is None else np.frombuffer(data, np.int32).reshape(3, 3).copy()


def _video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first stream of moving pictures; a cover picture of a sound file is none."""
    pictures = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next(pictures, None)


class _Decoder:
    """One pass over a file. Counts what could not be decoded and goes on behind it."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self.container = container
        self.stream = stream
        self.num_good = 0
        self.num_cut = 0  # frames that the file itself says are not to be shown
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            self.num_cut += packet.is_discard
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._note(error)
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.problems.append('a damaged frame')
                    continue
                self.num_good += 1
                yield frame

    def _packets(self) -> Iterator[av.Packet]:
        try:
            yield from self.container.demux(self.stream)
        except av.FFmpegError as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        self.problems.append(_reason(error))

    def verdict(self, end: float) -> str | None:
        """Why fewer frames came than the file claims, or None.

        Args:
            end: When the last frame that came is over, seconds.
        """
        claimed, seconds = self.stream.frames - self.num_cut, self._claimed_seconds()
        if self.problems:
            return (
                f'{self.num_good} frames are good, the rest is damaged: '
                f'{len(self.problems)} x "{self.problems[0]}"'
            )
        if claimed > self.num_good:
            return f'the file claims {claimed} frames, but ends after {self.num_good}'
        if not self.stream.frames and seconds is not None and seconds > end + _TOLERATED_SECONDS:
            return f'the file claims {seconds:.2f} s, but ends after {end:.2f} s'
        return None

    def _claimed_seconds(self) -> float | None:
        """How long the pictures last by the file's own account, or None where it is not said."""
        if self.stream.duration is not None:
            return float(self.stream.duration * self.stream.time_base)
        others = [s for s in self.container.streams if s.index != self.stream.index]
        if others or self.container.duration is None:  # sound may last longer than the pictures
            return None
        return self.container.duration / av.time_base


class VideoFileReader(VideoReader):
    """Frames of a video file.

    A damaged place is passed over and a file that breaks off yields all its good frames; then
    ``truncated`` says what is missing.

    Args:
        path: The file.

    Raises:
        VideoReadError: If the file does not exist, is no video or has no frame that can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.source = str(path)
        self._path = Path(path)
        if not self._path.is_file():
            raise VideoReadError(f'{path}: no such file; check the name')
        with open_container(self._path) as container:
            stream = self._stream(container)
            rate = stream.average_rate or stream.guessed_rate
            self.frame_rate = float(rate) if rate else None
            self.num_frames = stream.frames or None
            decoder = _Decoder(container, stream)
            first = next(iter(decoder), None)
            if first is None:
                reason = f' ({decoder.problems[0]})' if decoder.problems else ''
                raise VideoReadError(
                    f'{path}: has a video stream without a single readable frame{reason}; '
                    f'the file is empty or damaged, record or download it again'
                )
            self._stored_size = first.width, first.height
            # Asked of one frame only: PyAV's frame and its side data hold each other, and such
            # pairs pile up until Python's garbage collector comes by.
            self._matrix = _display_matrix(first)
            self.height, self.width = self._image(first).shape[:2]

    def _stream(self, container: av.container.InputContainer) -> av.VideoStream:
        stream = _video_stream(container)
        if stream is None:
            kinds = ', '.join(sorted({s.type for s in container.streams})) or 'nothing'
            raise VideoReadError(f'{self.source}: holds {kinds} but no video; give a video file')
        return stream

    def _image(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB; frames of another size than the first are scaled to its size."""
        width, height = self._stored_size
        image = frame.to_ndarray(format='rgb24', width=width, height=height)
        return upright(image, self._matrix)

    def __iter__(self) -> Iterator[Frame]:
        self.truncated = None
        step = 1 / (self.frame_rate or _FALLBACK_RATE)
        with open_container(self._path) as container:
            # Sound and pictures keep their distance: both count from the start of the file.
            start = (container.start_time or 0) / av.time_base
            decoder = _Decoder(container, self._stream(container))
            time = -step  # of the frame before the first
            for index, frame in enumerate(decoder):
                time = time + step if frame.time is None else frame.time - start
                yield Frame(index, time, self._image(frame))
            self.truncated = decoder.verdict(time + step)
