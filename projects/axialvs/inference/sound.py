"""Copy or transcode the sound of a source file into the video that is being written."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from axialvs.inference.video_file import open_container

COPIED_CODECS = ('aac', 'mp3', 'opus')
"""Codecs that browsers play in mp4 files; others are transcoded to AAC."""
_MAX_SAMPLE_RATE = 48_000
_Piece = tuple[float, list[av.Packet]]  # start in seconds, packets


class SoundTrack:
    """Copy or transcode the first audio stream of a file while the video is written.

    Args:
        path: file with the sound.
        output: output file, before its header is written.

    Attributes:
        state: 'none' if the source has no readable sound, else 'copied' or 'transcoded'.
        problem: why the sound ends early, or None.

    Raises:
        VideoReadError: if the source cannot be opened.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer) -> None:
        self.state = 'none'
        self.problem: str | None = None
        self._output = output
        self._input = open_container(path)
        self._source = next(iter(self._input.streams.audio), None)
        self._next: _Piece | None = None
        if self._source is None:
            return
        context = self._source.codec_context
        if context is None:
            self.problem = f'{path}: the sound has an unknown codec and is dropped'
            return
        self._start = Fraction(self._input.start_time or 0, av.time_base)
        if context.codec.canonical_name in COPIED_CODECS:
            self.state = 'copied'
            self._target = output.add_stream_from_template(self._source)
            self._pieces = self._copied()
        else:
            self.state = 'transcoded'
            rate = min(context.sample_rate, _MAX_SAMPLE_RATE)
            self._target = output.add_stream('aac', rate=rate)
            self._target.codec_context.layout = _common_layout(context)
            self._pieces = self._transcoded()
        # Read only after the header is written, which changes the time bases of the streams.
        self._next = 0.0, []

    def write_until(self, time: float) -> None:
        """Write the sound up to a time in seconds."""
        while self._next is not None and self._next[0] < time:
            self._mux(self._next[1])
            self._next = self._advance()

    def close(self, end: float) -> None:
        """Write the sound up to the end of the video (seconds) and close the source."""
        self.write_until(end)
        if self._next is not None and self.state == 'transcoded':
            self._mux(self._target.encode())  # flush the encoder
        self._input.close()

    def _mux(self, packets: list[av.Packet]) -> None:
        try:
            self._output.mux(packets)
        except (
            av.InvalidDataError,
            av.ArgumentError,
        ) as error:  # for example decreasing timestamps
            self._note(error)

    def _advance(self) -> _Piece | None:
        try:
            return next(self._pieces, None) if self.problem is None else None
        except av.FFmpegError as error:
            self._note(error)
            return None

    def _note(self, error: av.FFmpegError) -> None:
        self.problem = f'{self._input.name}: the sound ends early ({error.strerror})'

    def _copied(self) -> Iterator[_Piece]:
        shift = round(self._start / self._source.time_base)
        for packet in self._input.demux(self._source):
            if packet.dts is None:  # end of the stream
                continue
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            time = float(packet.pts * packet.time_base)
            packet.stream = self._target
            yield time, [packet]

    def _transcoded(self) -> Iterator[_Piece]:
        time = 0.0
        for frame in self._input.decode(self._source):
            if frame.pts is not None:
                frame.pts -= round(self._start / frame.time_base)
                time = frame.time
            yield time, self._target.encode(frame)
        yield time, self._target.encode()


def _common_layout(context: av.AudioCodecContext) -> str:
    """Return the layout of the encoded sound: mono stays mono, others are mixed to stereo."""
    return 'mono' if context.layout.nb_channels == 1 else 'stereo'
