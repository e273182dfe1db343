"""Opening whatever gives frames: a video file, a folder of images or a camera."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmengine import Config
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from axialvs.clips import SplitMode, split_video
from axialvs.inference.read_ahead import read_ahead
from axialvs.inference.readers import (
    CameraReader,
    Frame,
    ImageFolderReader,
    VideoReader,
)
from axialvs.inference.video_file import VideoFileReader
from axialvs.postprocess.instances import StreamingTracks
from axialvs.structures import ClipResult, ImageShapes, LinkedClip, Track
from axialvs.utils.errors import AxialVSError


def open_video(
    source: str | Path | int | VideoReader, frame_rate: float | None = None
) -> VideoReader:
    """Open a source of frames.

    Args:
        source: A video file, a folder of images, or the number of a camera (an int, or digits
            where no file or folder has that name). A reader of one's own is taken as it is.
        frame_rate: Frames a second of a folder of images, for its timestamps. Files and cameras
            have their own.

    Raises:
        VideoReadError: If the source does not exist or gives no frames.
    """
    if isinstance(source, VideoReader):
        return source
    if isinstance(source, int):
        return CameraReader(source)
    path = Path(source)
    if path.is_dir():
        return ImageFolderReader(path, frame_rate)
    if not path.exists() and str(source).isdecimal():
        return CameraReader(int(source))
    return VideoFileReader(path)


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


# What reads or packs a data set's sample; the steps in between change the picture.
_SAMPLE_STEPS = ('Load', 'Pack')


class FramePreparation:
    """The picture steps of a test pipeline and the model's own normalisation and padding.

    Args:
        pipeline: the test pipeline of a config.
        preprocessor: the model's data preprocessor, which expects BGR.
    """

    def __init__(self, pipeline: Sequence[dict], preprocessor: nn.Module) -> None:
        steps = [step for wrapper in pipeline for step in wrapper.get('transforms', [wrapper])]
        kept = [step for step in steps if not step['type'].startswith(_SAMPLE_STEPS)]
        self._transforms = Compose([TRANSFORMS.build(step) for step in kept])
        self._preprocessor = preprocessor

    @classmethod
    def from_config(cls, config: Config, preprocessor: nn.Module) -> 'FramePreparation':
        """The preparation that the config's test data set uses."""
        return cls(config.test_dataloader.dataset.pipeline, preprocessor)

    def __call__(self, images: Sequence[np.ndarray]) -> tuple[Tensor, ImageShapes]:
        """Prepares the frames of a clip.

        Args:
            images: T frames (H, W, 3), RGB uint8, of one size.

        Returns:
            (T, 3, H, W), normalised and padded, on the model's device, and the frames' sizes.
        """
        resized = [self._resize(image) for image in images]
        stacked = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
        batch = self._preprocessor({'inputs': [stacked], 'data_samples': None})['inputs']
        return batch[0], ImageShapes(
            tuple(batch.shape[-2:]), resized[0].shape[:2], images[0].shape[:2]
        )

    def _resize(self, image: np.ndarray) -> np.ndarray:
        sample = {
            'img': np.ascontiguousarray(image[..., ::-1]),
            'img_shape': image.shape[:2],
            'ori_shape': image.shape[:2],
        }
        return np.ascontiguousarray(self._transforms(sample)['img'])


Mode = Literal['near-online', 'offline']
Protocol = Literal['live', 'scored']


class VideoResult:
    """The result of a video, made as it is asked for: iterate over clips, then ask for the tracks.

    With `live` a clip comes as soon as it is decided: near-online when it is segmented, offline
    when its window is full (`OfflineWindow`). With `scored`, the default offline, the video is read
    to its end first, then read again for the pictures. A source that breaks off, or a
    run that is stopped, keeps all finished frames, see `truncated` and `close`.

    Args:
        model: a segmenter of `axialvs.apis.init_segmenter`.
        source: video file, folder of frames, number of a camera, or a reader of frames.
        mode: one of the model's `modes`.
        protocol: how tracks are decided; None for 'live' near-online, 'scored'
            offline.
        score_threshold: from which score a track is shown; `tracks()` of `scored` has all.
        labels: classes shown, as indices; None for all.
        max_frames: stop after so many frames.
        progress: called with the number of frames that each network call finished.

    Raises:
        ValueError: if the model does not know the mode, the protocol does not go with it,
            `max_frames` is negative, or `scored` is asked of a source that cannot be read twice.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        source: str | VideoReader,
        mode: Mode = 'near-online',
        protocol: Protocol | None = None,
        score_threshold: float | None = None,
        labels: Sequence[int] | None = None,
        max_frames: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.mode = mode
        self.protocol = protocol = _protocol_of(model, mode, protocol)
        if max_frames is not None and max_frames < 0:
            raise AxialVSError(f'max_frames={max_frames}: a number from 0, or None for all frames')
        self.reader: VideoReader = open_video(source)
        if protocol == 'scored' and not self.reader.can_rewind:
            raise AxialVSError(
                f"{source}: protocol 'scored' reads a video twice, which a camera cannot do; "
                "use 'live' or record first"
            )
        self._model = model
        self._source = source
        default_threshold = model.test_cfg['score_threshold']
        self._threshold = default_threshold if score_threshold is None else score_threshold
        self._labels = None if labels is None else set(labels)
        self._max_frames = max_frames
        self._progress = progress or (lambda num_frames: None)
        self._prepare = FramePreparation.from_config(model.cfg, model.data_preprocessor)
        self._clips = self._iterate_live() if protocol == 'live' else self._iterate_scored()
        self._tracks: list[Track] = []
        self.num_frames = 0

    def __iter__(self) -> Iterator[ClipResult]:
        return self._clips

    def tracks(self) -> list[Track]:
        """All tracks of the video; reads what was not iterated over yet, unless it was closed."""
        for _ in self._clips:
            pass
        return [track for track in self._tracks if self._is_wanted(track.label)]

    def close(self) -> None:
        """Stops reading; `tracks()` then has what was found until here."""
        self._clips.close()
        self.reader.close()

    @property
    def truncated(self) -> str | None:
        """Why the source broke off before its end, or None."""
        return self.reader.truncated

    def _is_wanted(self, label: int) -> bool:
        return self._labels is None or label in self._labels

    def _chunks(self, reader: VideoReader) -> Iterator[list[Frame]]:
        length = reader.num_frames
        if self._max_frames is not None:
            length = min(length, self._max_frames) if length else None
        frames = islice(reader, self._max_frames)
        return stream_clips(frames, self._model.clip_length, self._model.split_mode, length)

    def _segmented_clips(self) -> Iterator[tuple[list[Frame], NamedTuple, ImageShapes]]:
        """The frames of each clip, what `segment_clips` makes of them, and their sizes."""
        # While the clip that is given is linked, finished, drawn and written, the network is busy
        # with the next one, and the one after that is read and prepared.
        padded_length = self._model.clip_length if self._model.split_mode == 'repeat_last' else 0
        prepared = _prepared_clips(self._chunks(self.reader), padded_length, self._prepare)
        segmented = _segmented_clips(read_ahead(prepared), self._model, self.mode)
        with closing(read_ahead(segmented)) as clips:
            for clip in clips:
                num_frames = len(clip[0])
                self.num_frames += num_frames
                self._progress(num_frames)
                yield clip

    def _iterate_live(self) -> Iterator[ClipResult]:
        stream = self._model.new_stream(self.mode)
        live = StreamingTracks(self._threshold, self._model.test_cfg['max_tracks'])
        waiting: deque[tuple[list[Frame], ImageShapes]] = deque()
        decided: deque[LinkedClip] = deque()

        def show_decided() -> Iterator[ClipResult]:
            while decided:
                clip = decided.popleft()
                chunk, shapes = waiting.popleft()
                masks = clip.mask_logits[:, : len(chunk)]
                columns = live.add(masks, clip.class_logits, shapes)
                wanted = [self._is_wanted(label) for label in columns[1].tolist()]
                yield _clip_result(chunk, *(x[np.array(wanted, dtype=bool)] for x in columns))

        try:
            for chunk, segmented, shapes in self._segmented_clips():
                waiting.append((chunk, shapes))
                decided.extend(stream.add(segmented))
                yield from show_decided()
            decided.extend(stream.finish())
            yield from show_decided()
        finally:
            # Of a run that is stopped, what was segmented and not shown is in the tracks.
            decided.extend(stream.finish())
            deque(show_decided(), maxlen=0)
            self._tracks = live.tracks()

    def _iterate_scored(self) -> Iterator[ClipResult]:
        video = self._model.new_video(self.mode)
        try:
            for chunk, segmented, shapes in self._segmented_clips():
                video.add(segmented, shapes, len(chunk))
        finally:
            if self.num_frames:
                self._tracks = video.finish()
            video.close()
        shown = [x for x in self._tracks if x.score >= self._threshold and self._is_wanted(x.label)]
        frames_left = self.num_frames
        for chunk in self._chunks(open_video(self._source)):
            chunk = chunk[:frames_left]
            if not chunk:
                break
            frames_left -= len(chunk)
            yield _shown_in(chunk, shown)


def _prepared_clips(
    chunks: Iterator[list[Frame]], padded_length: int, prepare: FramePreparation
) -> Iterator[tuple[list[Frame], torch.Tensor, ImageShapes]]:
    """The frames of each clip, the network's input made of them, and their sizes.

    No method, for it runs in a thread, which would keep a result that nobody wants any more.
    """
    for chunk in chunks:
        images = [frame.image for frame in chunk]
        images += images[-1:] * (padded_length - len(images))
        yield chunk, *prepare(images)


def _segmented_clips(
    prepared: Generator[tuple[list[Frame], torch.Tensor, ImageShapes]],
    model: torch.nn.Module,
    mode: Mode,
) -> Iterator[tuple[list[Frame], NamedTuple, ImageShapes]]:
    """The same with what the network makes of the input; no method either."""
    with closing(prepared):
        for chunk, frames, shapes in prepared:
            (segmented,) = model.segment_clips(frames.unsqueeze(0), mode)
            yield chunk, segmented, shapes


def _protocol_of(model: torch.nn.Module, mode: str, protocol: Protocol | None) -> Protocol:
    """The protocol asked for, or the usual one of the mode."""
    model.check_mode(mode)
    if protocol is None:
        return 'live' if mode == 'near-online' else 'scored'
    if protocol not in ('live', 'scored'):
        raise AxialVSError(f"protocol is '{protocol}', not 'live' or 'scored'")
    return protocol


def _shown_in(chunk: list[Frame], tracks: Sequence[Track]) -> ClipResult:
    """The tracks that occur in a clip's frames."""
    height, width = chunk[0].image.shape[:2]
    present = [x for x in tracks if any(x.segmentations[frame.index] for frame in chunk)]
    masks = np.zeros((len(present), len(chunk), height, width), dtype=bool)
    for row, track in enumerate(present):
        for t, frame in enumerate(chunk):
            if code := track.segmentations[frame.index]:
                masks[row, t] = coco_mask.decode(code)
    ids, labels = ([getattr(x, name) for x in present] for name in ('id', 'label'))
    return _clip_result(
        chunk,
        np.array(ids, dtype=int),
        np.array(labels, dtype=int),
        np.array([x.score for x in present]),
        masks,
    )


def _clip_result(
    chunk: list[Frame], ids: np.ndarray, labels: np.ndarray, scores: np.ndarray, masks: np.ndarray
) -> ClipResult:
    return ClipResult(
        [frame.index for frame in chunk],
        [frame.timestamp for frame in chunk],
        ids,
        labels,
        scores,
        masks,
        [frame.image for frame in chunk],
    )
