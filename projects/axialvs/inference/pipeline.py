"""Inference pipeline from a source of frames to clips with tracks: read, run, track."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from axialvs.clips import SplitMode, split_video
from axialvs.inference.frame_preparation import FramePreparation, Segmenter
from axialvs.inference.image_files import ImageFolderReader
from axialvs.inference.image_stack import AnimationReader, open_stack
from axialvs.inference.read_ahead import read_ahead
from axialvs.inference.readers import (
    CameraReader,
    ColorOrder,
    Frame,
    MemoryReader,
    VideoReader,
)
from axialvs.postprocess.finisher import StreamedClip, StreamFinisher
from axialvs.structures import ClipResult, ImageShapes, LinkedClip, Track
from axialvs.tracking.tracker import Tracker
from axialvs.utils.addresses import is_url
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import IMAGE_SUFFIXES
from axialvs.utils.rle import decode_mask

Protocol = Literal['live', 'scored']
_CAMERA_DIGITS = 9  # OpenCV takes 32 bits


def open_video(
    source: str | Path | int | VideoReader | Iterable[np.ndarray],
    frame_rate: float | None = None,
    color: ColorOrder = 'rgb',
    reconnect: float | None = None,
) -> VideoReader:
    """Open a source of frames.

    Args:
        source: a video file or URL, a folder of images, a camera number (an int, or digits that are
            not a file name), frames in memory, or a reader, which is returned.
        frame_rate: frame rate of a folder or of frames in memory, for timestamps.
        color: channel order of frames in memory.
        reconnect: seconds to try to reopen a lost live stream, 30 by default.

    Raises:
        VideoReadError: if the source does not exist or has no frames.
    """
    if isinstance(source, VideoReader):
        return source
    if isinstance(source, int):
        return CameraReader(source)
    if not isinstance(source, str | Path):
        return MemoryReader(source, frame_rate, color)
    path = Path(source)
    if path.is_dir():
        return ImageFolderReader(path, frame_rate)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return open_stack(path, frame_rate) or ImageFolderReader(path, frame_rate)
    if path.is_file() and path.suffix.lower() == '.gif':  # without delays, FFmpeg returns one frame
        return AnimationReader(path, frame_rate)
    if not path.exists() and str(source).isdecimal() and len(str(source)) <= _CAMERA_DIGITS:
        return CameraReader(int(str(source)))
    # The only sources that need PyAV.
    from axialvs.inference.stream_reader import DEFAULT_PATIENCE, StreamReader
    from axialvs.inference.video_file import VideoFileReader

    if not is_url(source) or path.exists():
        return VideoFileReader(path)
    return StreamReader(str(source), DEFAULT_PATIENCE if reconnect is None else reconnect)


def stream_clips(
    frames: Iterable[Frame],
    clip_length: int,
    split_mode: SplitMode = 'repeat_last',
    num_frames: int | None = None,
) -> Iterator[list[Frame]]:
    """Group frames into clips, with one clip in memory at a time.

    Args:
        frames: frames in order.
        clip_length: T.
        split_mode: 'shorten' needs the length in advance; if it is unknown or wrong, only the last
            clip is shortened.
        num_frames: L, if known.
    """
    frames = iter(frames)
    if split_mode == 'shorten' and num_frames:
        for clip in split_video(num_frames, clip_length, split_mode):
            if chunk := list(islice(frames, clip.length)):
                yield chunk
    while chunk := list(islice(frames, clip_length)):
        yield chunk


class PreparedClip(NamedTuple):
    """Output of the first stage: frames and the network's input."""

    frames: list[Frame]
    inputs: Tensor  # (T, 3, H, W)
    shapes: ImageShapes


class EncodedClip(NamedTuple):
    """Output of the second stage: the tracker's input for a clip."""

    frames: list[Frame]
    encoded: Any
    shapes: ImageShapes


# Stages are functions because they run in threads, and a bound method would keep an unused
# `VideoResult` alive.
def prepare_clips(
    chunks: Iterator[list[Frame]], padded_length: int, prepare: FramePreparation
) -> Iterator[PreparedClip]:
    """Stage 1: prepare each clip, repeating the last frame up to `padded_length`."""
    for frames in chunks:
        images = [frame.image for frame in frames]
        images += images[-1:] * (padded_length - len(images))
        yield PreparedClip(frames, *prepare(images))


def encode_clips(
    prepared: Generator[PreparedClip, None, None], tracker: Tracker
) -> Iterator[EncodedClip]:
    """Stage 2: run the network."""
    with closing(prepared):
        for frames, inputs, shapes in prepared:
            (encoded,) = tracker.encode(inputs.unsqueeze(0))
            yield EncodedClip(frames, encoded, shapes)


class VideoResult:
    """The tracks of a video, computed lazily during iteration.

    With the protocol `live`, a clip is yielded when it is final: near-online after it is segmented,
    offline when its window is full. With `scored`, the whole video is read first, and then reread
    for the frames. If the source is corrupted or the run is stopped, all finished frames are kept,
    see `truncated` and `close`.

    Positions in tracks and clips are frame numbers of the source; frames that cannot be decoded
    have no masks.

    Args:
        segmenter: the model.
        tracker: tracker of the model.
        reader: source of the frames.
        protocol: 'live' or 'scored'; None for the tracker's default.
        score_thr: minimum score of tracks that are shown and returned. None for that of
            `test_cfg`, which 'scored' does not apply to `tracks()`.
        labels: classes to keep; None for all.
        max_frames: stop after this many segmented frames.
        progress: called with the number of frames of each finished clip.
        stride: segment every `stride`-th frame.

    Raises:
        AxialVSError: if the protocol is unknown, `max_frames` or `stride` is too small, or the
            protocol is 'scored' and the source cannot be read twice.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        tracker: Tracker,
        reader: VideoReader,
        protocol: Protocol | None = None,
        score_thr: float | None = None,
        labels: Sequence[int] | None = None,
        max_frames: int | None = None,
        progress: Callable[[int], None] | None = None,
        stride: int = 1,
    ) -> None:
        self.protocol: Protocol = tracker.default_protocol if protocol is None else protocol
        if self.protocol not in ('live', 'scored'):
            raise AxialVSError(f"protocol is '{protocol}'; use 'live' or 'scored'")
        if max_frames is not None and max_frames < 0:
            raise AxialVSError(f'max_frames={max_frames}: must be at least 0, or None for all')
        if stride < 1:
            raise AxialVSError(f'stride={stride}: must be at least 1')
        if self.protocol == 'scored' and not reader.can_rewind:
            raise AxialVSError(
                f"{reader.source}: protocol 'scored' reads a video twice, which this source does "
                "not support; use 'live', or record it first"
            )
        if segmenter.clip_length is None:
            raise AxialVSError('the model has no clip_length')
        self.reader = reader
        self.num_frames = 0
        self._clip_length = segmenter.clip_length
        self._split_mode: SplitMode = segmenter.split_mode
        self._tracker = tracker
        self._prepare = FramePreparation(segmenter)
        self._threshold = segmenter.test_cfg['score_thr'] if score_thr is None else score_thr
        self._least_score = 0.0 if score_thr is None else score_thr
        self._labels = None if labels is None else set(labels)
        self._max_frames = max_frames
        self._stride = stride
        self._progress = progress or (lambda num_frames: None)
        self._times: dict[int, float] = {}  # timestamps of segmented frames, by position
        self._truncated: str | None = None
        self._tracks: list[Track] = []
        self._clips = self._run_live() if self.protocol == 'live' else self._run_scored()

    def __repr__(self) -> str:
        return (
            f'VideoResult({self.reader.source}, {self.protocol}, {self.num_frames} frames so far)'
        )

    def __iter__(self) -> Iterator[ClipResult]:
        return self._clips

    def tracks(self) -> list[Track]:
        """Return all tracks of the video; first finishes the iteration unless closed."""
        for _ in self._clips:
            pass
        return [track for track in self._tracks if self._is_wanted(track.label)]

    def close(self) -> None:
        """Stop reading; `tracks()` then returns the tracks so far."""
        self._clips.close()
        self.reader.close()

    @property
    def truncated(self) -> str | None:
        """Why frames of the source are missing, or None."""
        return self._truncated or self.reader.truncated

    @property
    def timestamps(self) -> list[float | None]:
        """Timestamps of all positions so far in seconds; None for missing frames."""
        return [self._times.get(i) for i in range(max(self._times, default=-1) + 1)]

    def _is_wanted(self, label: int) -> bool:
        return self._labels is None or label in self._labels

    def _chunks(self) -> Iterator[list[Frame]]:
        length = self.reader.expected_frames(self._stride, self._max_frames)
        frames = islice(islice(self.reader, 0, None, self._stride), self._max_frames)
        return stream_clips(frames, self._clip_length, self._split_mode, length)

    def _encoded_clips(self) -> Iterator[EncodedClip]:
        """Run stages 1 and 2 in threads, so that reading, network and tracking run in parallel."""
        padded_length = self._clip_length if self._split_mode == 'repeat_last' else 0
        prepared = read_ahead(prepare_clips(self._chunks(), padded_length, self._prepare))
        with closing(read_ahead(encode_clips(prepared, self._tracker))) as clips:
            for clip in clips:
                self.num_frames += len(clip.frames)
                self._times.update((frame.index, frame.timestamp) for frame in clip.frames)
                self._progress(len(clip.frames))
                yield clip

    def _run_live(self) -> Generator[ClipResult, None, None]:
        """Stage 3 of 'live': track, show and encode each clip as soon as it is final."""
        stream = self._tracker.stream()
        finisher = self._tracker.finisher.stream(self._threshold)
        pending: deque[EncodedClip] = deque()
        final: deque[LinkedClip] = deque()

        def show_final() -> Iterator[ClipResult]:
            while final:
                yield self._decide(final.popleft(), pending.popleft(), finisher)

        try:
            for clip in self._encoded_clips():
                pending.append(clip)
                final.extend(stream.add(clip.encoded))
                yield from show_final()
            final.extend(stream.finish())
            yield from show_final()
        finally:
            # If the run is stopped, clips that are encoded but not shown are part of the tracks.
            final.extend(stream.finish())
            deque(show_final(), maxlen=0)
            self._tracks = self._at_source_positions(finisher.tracks())

    def _decide(
        self, linked: LinkedClip, clip: EncodedClip, finisher: StreamFinisher
    ) -> ClipResult:
        mask_logits = linked.mask_logits[:, : len(clip.frames)]
        decided = finisher.add(mask_logits, linked.class_logits, clip.shapes, linked.identity)
        wanted = np.array([self._is_wanted(x) for x in decided.labels.tolist()], dtype=bool)
        return _clip_result(clip.frames, decided.select(wanted))

    def _run_scored(self) -> Generator[ClipResult, None, None]:
        """Stage 3 of 'scored': select tracks at the end, then reread the video to show them."""
        video = self._tracker.video()
        try:
            for clip in self._encoded_clips():
                video.add(clip.encoded, clip.shapes, len(clip.frames))
        finally:
            tracks = video.finish()
            video.close()
            tracks = [track for track in tracks if track.score >= self._least_score]
            self._tracks = self._at_source_positions(tracks)
        self._truncated = self.reader.truncated
        shown = [x for x in self._tracks if x.score >= self._threshold and self._is_wanted(x.label)]
        frames_left = self.num_frames
        for frames in self._chunks():
            frames = frames[:frames_left]
            if not frames:
                break
            frames_left -= len(frames)
            yield _clip_result(frames, _decode_tracks(frames, shown))

    def _at_source_positions(self, tracks: list[Track]) -> list[Track]:
        """Move per-frame values of tracks to the positions of the frames in the source."""
        positions = list(self._times)
        if positions != list(range(len(positions))):
            for track in tracks:
                track.segmentations = _spread(track.segmentations, positions)
                track.frame_scores = _spread(track.frame_scores, positions)
        return tracks


def _spread(values: list, positions: Sequence[int]) -> list:
    """Place values at positions, with None in between; an empty list stays empty."""
    spread = [None] * (positions[-1] + 1) if values else []
    for position, value in zip(positions, values, strict=False):
        spread[position] = value
    return spread


def _decode_tracks(frames: list[Frame], tracks: Sequence[Track]) -> StreamedClip:
    """Select the tracks that have a mask in these frames."""
    height, width = frames[0].image.shape[:2]
    present = [x for x in tracks if any(x.segmentations[frame.index] for frame in frames)]
    masks = np.zeros((len(present), len(frames), height, width), dtype=bool)
    for row, track in enumerate(present):
        for t, frame in enumerate(frames):
            if rle := track.segmentations[frame.index]:
                masks[row, t] = decode_mask(rle)
    return StreamedClip(
        np.array([x.id for x in present], dtype=int),
        np.array([x.label for x in present], dtype=int),
        np.array([x.score for x in present]),
        masks,
        np.array([x.is_thing for x in present], dtype=bool),
    )


def _clip_result(frames: list[Frame], decided: StreamedClip) -> ClipResult:
    return ClipResult(
        [frame.index for frame in frames],
        [frame.timestamp for frame in frames],
        images=[frame.image for frame in frames],
        **decided._asdict(),
    )
