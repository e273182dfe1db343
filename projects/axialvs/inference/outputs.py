"""Outputs of a segmented video: overlay, tracks, page, masks, boxes, crops."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from axialvs.inference.box_file import write_boxes
from axialvs.inference.mask_files import CropWriter, write_id_masks, write_mattes
from axialvs.inference.panoptic_files import write_panoptic
from axialvs.inference.readers import VideoReader
from axialvs.inference.segmented_video import SegmentedVideo
from axialvs.inference.track_file import Layout, write_tracks
from axialvs.inference.video_writer import VideoWriter
from axialvs.structures import ClipResult
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import check_writable
from axialvs.visualization.html_page import Thumbnails, write_html_page
from axialvs.visualization.overlay import DEFAULT_STYLE, OverlayStyle, draw_tracks
from axialvs.visualization.trails import Trails

PAGE_WIDTH = 1280
"""Pixels; wider frames are scaled down for the HTML page."""
OVERLAY_SIDE = 360
"""Pixels; frames with a shorter side are enlarged for the overlay, so that labels are readable."""


class Output:
    """Base class of outputs, which receive the clips of a video one by one, then its tracks.

    Args:
        path: file or folder to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []  # messages for the user

    def add(self, clip: ClipResult, class_names: tuple[str, ...]) -> None:
        """Process a clip.

        Raises:
            OSError: if it cannot be written.
        """

    def finish(self, video: SegmentedVideo) -> None:
        """Write the remaining data; also called if the run was stopped.

        Raises:
            OSError: if it cannot be written.
        """

    def close(self) -> None:
        """Release files, even if nothing was written."""


class OverlayOutput(Output):
    """The video with its tracks drawn."""

    def __init__(self, path: Path, reader: VideoReader, style: OverlayStyle) -> None:
        super().__init__(path)
        self._writer = _writer(path, reader)
        self._style = style
        self._trails = Trails(style.trail) if style.trail else None
        self.drawn: np.ndarray | None = None  # the last frame, (H, W, 3) uint8 RGB

    def add(self, clip: ClipResult, class_names: tuple[str, ...]) -> None:
        for t, (image, time) in enumerate(zip(clip.images, clip.timestamps, strict=True)):
            image, masks = _enlarged(image, clip.masks[:, t])
            tracks = clip.ids, clip.labels, clip.scores
            trails = self._trails.add(clip.ids, masks) if self._trails else None
            self.drawn = draw_tracks(
                image, masks, *tracks, class_names, clip.is_thing, self._style, trails
            )
            self._writer.write(self.drawn, time)

    def finish(self, video: SegmentedVideo) -> None:
        self._writer.close()
        if self._writer.sound_problem:
            self.notes.append(self._writer.sound_problem)


class FinalOutput(Output):
    """A file or folder that is written at the end of the video.

    Args:
        path: the file or folder.
        write: writes it; may return the number of pixels in which masks overlap.
        first_file: name of a file in the folder, to check that it can be written.
    """

    def __init__(
        self, path: Path, write: Callable[[Path, SegmentedVideo], int | None], first_file: str = ''
    ) -> None:
        super().__init__(path)
        check_writable(path / first_file)
        self._write = write

    def finish(self, video: SegmentedVideo) -> None:
        if num_pixels := self._write(self.path, video):
            self.notes.append(
                f'{self.path}: masks overlap in {num_pixels} pixels; the higher score is on top'
            )


class CropsOutput(Output):
    """A folder with one cut-out per track."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        check_writable(path / '00001.png')
        self._writer = CropWriter(path)

    def add(self, clip: ClipResult, class_names: tuple[str, ...]) -> None:
        self._writer.add(clip)


class PageOutput(Output):
    """The HTML page; its plain video is a temporary file in the same folder."""

    def __init__(self, path: Path, reader: VideoReader) -> None:
        super().__init__(path)
        check_writable(path)
        self._folder = TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent)
        self._writer = _writer(Path(self._folder.name, 'frames.mp4'), reader)
        self._thumbnails = Thumbnails()
        self._times: dict[int, float] = {}  # timestamps of recorded frames, by position

    def add(self, clip: ClipResult, class_names: tuple[str, ...]) -> None:
        for t, image in enumerate(clip.images):
            self._writer.write(_narrowed(image), clip.timestamps[t])
            self._thumbnails.add(image, clip.ids, clip.masks[:, t])
        self._times.update(zip(clip.frame_indices, clip.timestamps, strict=True))

    def finish(self, video: SegmentedVideo) -> None:
        self._writer.close()
        if self._times:
            tracks = [
                replace(track, segmentations=[track.segmentations[i] for i in self._times])
                for track in video.shown
            ]
            model = video.model
            footer = [model['config'], model['checkpoint']]
            footer += [video.video['mode'], video.video['protocol']]
            write_html_page(
                self.path,
                self._writer.path,
                tracks,
                video.class_names,
                list(self._times.values()),
                list(self._times),
                self._thumbnails.crops,
                title=video.name,
                footer=', '.join([f'axialvs {model["axialvs"]}', *map(str, footer)]),
                num_left_out=len(video.tracks) - len(video.shown),
            )

    def close(self) -> None:
        try:
            self._writer.close()
        finally:
            self._folder.cleanup()


def _writer(path: Path, reader: VideoReader) -> VideoWriter:
    """Create a writer with the frame rate and the sound of a source."""
    source = Path(reader.source)
    return VideoWriter(path, reader.frame_rate, source if source.is_file() else None)


def _enlarged(image: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge a small image and its masks (n, H, W) by an integer factor."""
    factor = -(-OVERLAY_SIDE // min(image.shape[:2]))
    if factor == 1:
        return image, masks
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return image, masks.repeat(factor, axis=1).repeat(factor, axis=2)


def _narrowed(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= PAGE_WIDTH:
        return image
    size = PAGE_WIDTH, max(1, round(height * PAGE_WIDTH / width))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def make_output(
    name: str,
    path: Path,
    reader: VideoReader,
    style: OverlayStyle = DEFAULT_STYLE,
    layout: Layout = 'tracks',
) -> Output:
    """Create an output and check that it can be written.

    Args:
        name: 'json', 'out', 'html', 'masks', 'mattes', 'panoptic', 'boxes' or 'crops'.
        path: file or folder to write.
        reader: reader of the video.
        style: style of the overlay.
        layout: layout of the JSON.

    Raises:
        AxialVSError: if the name is unknown or the suffix is wrong.
        OSError: if the path is not writable.
    """
    if name == 'out':
        return OverlayOutput(path, reader, style)
    if name == 'html':
        return PageOutput(path, reader)
    if name == 'crops':
        return CropsOutput(path)
    final: dict[str, tuple] = {
        'json': (partial(write_tracks, layout=layout),),
        'masks': (write_id_masks, '00000.png'),
        'mattes': (write_mattes, '00000.png'),
        'panoptic': (write_panoptic, '00000.png'),
        'boxes': (write_boxes,),
    }
    if name not in final:
        known = ', '.join(['out', 'html', 'crops', *final])
        raise AxialVSError(f"unknown output '{name}' (known: {known})")
    return FinalOutput(path, *final[name])
