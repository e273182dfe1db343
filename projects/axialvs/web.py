"""A page in the browser to try the shipped models: `axialvs demo --web`.

The server listens on 127.0.0.1 only, and the page loads nothing from other hosts.
"""

import html
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

from axialvs.apis import init_segmenter, segment_video
from axialvs.checkpoints.hub import CHECKPOINTS
from axialvs.datasets.moving_shapes import generate_video
from axialvs.inference.outputs import make_output
from axialvs.inference.pipeline import open_video
from axialvs.inference.segmented_video import describe_run
from axialvs.inference.trajectories import ClipAttention
from axialvs.inference.video_writer import VideoWriter
from axialvs.models.clip_segmenter import ClipSegmenter
from axialvs.structures import ClipResult
from axialvs.utils.cli import error_message
from axialvs.utils.errors import AxialVSError
from axialvs.visualization.overlay import stuff_color, track_color
from axialvs.visualization.trajectory_sheet import Point, trajectory_sheet

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
try:
    import gradio as gr
except ImportError as error:
    raise AxialVSError("gradio is not installed; run: pip install 'axialvs[web]'") from error

MODELS = {x.description.split(',')[0]: x.name for x in CHECKPOINTS.values() if x.shipped}
OUTPUTS = {'out': 'overlay.mp4', 'json': 'tracks.json', 'html': 'page.html', 'masks': 'masks'}
EXAMPLE_RATE, EXAMPLE_SIZE = 8, (640, 384)
EXAMPLE_SEED = 2025  # weights were not trained on it
TRAJECTORY_STEP = 4  # frames between those of a trajectory
TRAJECTORY_HEIGHT = 160  # pixels of a frame
CSS = """
.track { display: flex; align-items: center; gap: 8px; margin: 3px 0; font-size: 13px; }
.track .swatch { width: 12px; height: 12px; border-radius: 3px; flex: none; }
.track .name { width: 150px; flex: none; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.track .bar { position: relative; flex: 1; height: 12px; border-radius: 3px;
  background: var(--background-fill-secondary); overflow: hidden; }
.track .bar i { position: absolute; top: 0; bottom: 0; }
"""
ABOUT = (
    '# Axial-VS\nVideo segmentation with ids that stay. The weights that come with the package '
    'are tiny and know generated videos only: circle, square, triangle, star and cross, and for '
    'panoptic models sky, grass, sand and water. On other videos they find nothing that makes '
    'sense.'
)


class Run:
    """One video that is segmented, and what the page shows of it.

    Args:
        video: file.
        model_name: of known weights.
        folder: of the files to write.
    """

    def __init__(self, video: str, model_name: str, folder: Path) -> None:
        self.video = video
        self.model_name = model_name
        self.is_offline = '-cc' in model_name
        self.folder = folder
        self.stop = threading.Event()
        self.frame = 0  # the one that is shown
        self.num_frames = 0
        self._tracks: dict[int, tuple[str, float, tuple[int, int, int]]] = {}
        self._spans: dict[int, list[list[int]]] = {}  # [first, last + 1] where a track is visible

    def segment(self, model: ClipSegmenter) -> Iterator[tuple[np.ndarray | None, int | None]]:
        """Segment the video and write all files; may be stopped after any clip.

        Yields:
            After each clip: its last frame as an overlay, and the length of the video if known.
        """
        mode = 'offline' if self.is_offline else 'near-online'
        with open_video(self.video) as reader:
            outputs = {x: make_output(x, self.folder / file, reader) for x, file in OUTPUTS.items()}
            result = segment_video(model, reader, mode, 'live')
            try:
                for clip in result:
                    for output in outputs.values():
                        output.add(clip, model.class_names)
                    self._add(clip, model.class_names)
                    yield outputs['out'].drawn, reader.num_frames
            finally:
                result.close()
                if self.num_frames:
                    name = Path(self.video).name
                    video = describe_run(result, model, name, mode, None, self.model_name)
                    for output in outputs.values():
                        output.finish(video)
                for output in outputs.values():
                    output.close()

    def _add(self, clip: ClipResult, class_names: tuple[str, ...]) -> None:
        """Add a clip to the timeline."""
        self.frame = clip.frame_indices[-1]
        self.num_frames = self.frame + 1
        rows = zip(clip.ids, clip.labels, clip.scores, clip.masks, clip.is_thing, strict=True)
        for track, label, score, masks, is_thing in rows:
            visible = [i for i, mask in zip(clip.frame_indices, masks, strict=True) if mask.any()]
            if not visible:
                continue
            name = f'{class_names[label]} {track}' if is_thing else class_names[label]
            color = track_color(int(track)) if is_thing else stuff_color(int(label))
            self._tracks[track] = name, float(score), color
            spans = self._spans.setdefault(track, [])
            for index in visible:
                if spans and spans[-1][1] == index:
                    spans[-1][1] += 1
                else:
                    spans.append([index, index + 1])

    def timeline(self, length: int) -> str:
        """HTML with a row per track.

        Args:
            length: frames of the whole width.
        """
        rows = []
        for track, (name, score, color) in self._tracks.items():
            paint = 'background:rgb({},{},{})'.format(*color)
            bars = ''.join(
                f'<i style="{paint};left:{100 * first / length:.2f}%;'
                f'width:{100 * (end - first) / length:.2f}%"></i>'
                for first, end in self._spans[track]
            )
            rows.append(
                f'<div class="track"><span class="swatch" style="{paint}"></span>'
                f'<span class="name">{html.escape(name)}, {score:.2f}</span>'
                f'<span class="bar">{bars}</span></div>'
            )
        return ''.join(rows)

    def files(self) -> list[str]:
        """Files to download; the folder of masks becomes a zip archive."""
        if (self.folder / 'masks').is_dir():
            shutil.make_archive(str(self.folder / 'masks'), 'zip', self.folder / 'masks')
        names = [*OUTPUTS.values(), 'masks.zip']
        return [str(self.folder / name) for name in names if (self.folder / name).is_file()]


@lru_cache
def load_model(name: str, use: str) -> ClipSegmenter:
    """Build a known model once for each use, as two uses run at the same time."""
    return init_segmenter(checkpoint=name)


class Page:
    """The page: its parts, and what happens when they are used."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix='axialvs-')  # removed with the page
        os.environ['GRADIO_TEMP_DIR'] = self._folder.name
        with gr.Blocks(title='Axial-VS', analytics_enabled=False) as self.blocks:
            gr.Markdown(ABOUT)
            self.run = gr.State()
            with gr.Row():
                with gr.Column(scale=1, min_width=280):
                    self.video = gr.Video(label='Video', sources=['upload'], height=240)
                    self.example = gr.Button('Take a generated example')
                    self.model = gr.Dropdown(list(MODELS), value=next(iter(MODELS)), label='Model')
                    with gr.Row():
                        self.start = gr.Button('Segment', variant='primary')
                        self.stop = gr.Button('Stop')
                    self.status = gr.Markdown('Drop a video or take the example.')
                    self.files = gr.File(label='Download', file_count='multiple', visible=False)
                with gr.Column(scale=3):
                    self.overlay = gr.Image(label='Overlay', interactive=False, buttons=[])
                    self.frame = gr.Slider(0, 1, step=1, label='Frame', interactive=False)
                    self.timeline = gr.HTML(label='Timeline', show_label=True, container=True)
                    self.sheet = gr.Image(label='Trajectory', interactive=False, visible=False)
            self.example.click(self.write_example, self.model, self.video)
            parts = [self.run, self.status, self.overlay, self.frame, self.timeline]
            parts += [self.files, self.sheet]
            self.start.click(self.segment, [self.video, self.model], parts, show_progress='hidden')
            self.stop.click(stop, self.run, queue=False)
            self.frame.release(show_frame, [self.run, self.frame], self.overlay)
            self.overlay.select(show_trajectory, [self.run, self.overlay], self.sheet)

    def write_example(self, title: str) -> str:
        """Write a generated video of the kind that the model knows."""
        level = 'panoptic' if 'kmax' in MODELS[title] else 'demo'
        path = Path(self._folder.name, f'{level}.mp4')
        with VideoWriter(path, fps=EXAMPLE_RATE) as writer:
            for image in generate_video(level, EXAMPLE_SEED, 0, size=EXAMPLE_SIZE).frames:
                writer.write(image)
        return str(path)

    def segment(self, video: str | None, title: str) -> Iterator[dict]:
        """Segment a video and update the page after each clip."""
        if video is None:
            raise gr.Error('Drop a video first, or take the example.')
        try:
            folder = Path(mkdtemp(dir=self._folder.name))
            yield from self._segment(Run(video, MODELS[title], folder))
        except (AxialVSError, OSError) as error:
            raise gr.Error(error_message(error), print_exception=False) from error

    def _segment(self, run: Run) -> Iterator[dict]:
        hidden = gr.update(visible=False)
        yield {
            self.run: run,
            self.status: 'Loading the model',
            self.overlay: None,
            self.frame: gr.update(interactive=False),
            self.timeline: '',
            self.files: hidden,
            self.sheet: hidden,
        }
        model = load_model(run.model_name, 'segment')
        yield {self.status: f'Segmenting {"in windows of clips" if run.is_offline else "by clip"}'}
        with closing(run.segment(model)) as clips:
            for overlay, length in clips:
                yield {
                    self.status: f'Frame {run.num_frames} of {length or "?"}',
                    self.overlay: overlay,
                    self.timeline: run.timeline(max(length or 0, run.num_frames)),
                }
                if run.stop.is_set():
                    break
        yield {
            self.status: f'{"Stopped" if run.stop.is_set() else "Done"}: {run.num_frames} frames. '
            'Click on the overlay to see where attention looks for a pixel.',
            self.frame: gr.update(
                maximum=max(1, run.num_frames - 1), value=run.frame, interactive=True
            ),
            self.timeline: run.timeline(run.num_frames),
            self.files: gr.update(value=run.files(), visible=True),
        }


def stop(run: Run | None) -> None:
    """Stop after the current clip; what is finished is kept."""
    if run is not None:
        run.stop.set()


def show_frame(run: Run, index: int) -> np.ndarray:
    """Show a frame of the overlay."""
    run.frame = int(index)
    return read_frames(str(run.folder / OUTPUTS['out']), [run.frame])[0]


def read_frames(video: str, positions: Sequence[int]) -> list[np.ndarray]:
    """Read frames (H, W, 3) by their positions."""
    wanted = islice(open_video(video), max(positions) + 1)
    return [frame.image for frame in wanted if frame.index in positions]


def show_trajectory(run: Run | None, overlay: np.ndarray, event: gr.SelectData) -> dict:
    """Draw where attention looks for the pixel that was clicked on."""
    if run is None or not run.num_frames:
        raise gr.Error('Segment a video first.')
    model = load_model(run.model_name, 'trajectory')
    length, step = model.clip_length, TRAJECTORY_STEP
    first = min(run.frame, max(run.frame % step, run.num_frames - 1 - step * (length - 1)))
    positions = sorted({run.frame, *range(first, run.num_frames, step)[:length]})
    images = read_frames(run.video, positions)
    scale = images[0].shape[1] / overlay.shape[1]  # small frames are enlarged in the overlay
    x, y = (scale * value for value in event.index)
    frame = positions.index(run.frame)
    trajectory = ClipAttention(model, images).trajectories(frame, (x, y))[-1]
    height, width = (weights.mean(0).cpu().numpy() for weights in trajectory[1:])
    sheet = trajectory_sheet(
        images,
        height,
        width,
        trajectory.heat().cpu().numpy(),
        Point(frame, x, y),
        f'attention of pixel {x:.0f}, {y:.0f} of frame {run.frame}',
        [f'frame {position}' for position in positions],
        TRAJECTORY_HEIGHT,
    )
    return gr.update(value=sheet, visible=True)


def serve(port: int | None = None, wait: bool = True) -> Page:
    """Serve the page on 127.0.0.1.

    Args:
        port: None for a free one from 7860.
        wait: until Ctrl-C.

    Raises:
        AxialVSError: the port is not free.
    """
    page = Page()
    try:
        page.blocks.launch(
            server_name='127.0.0.1',
            server_port=port,
            share=False,
            prevent_thread_lock=True,
            show_error=True,
            ssr_mode=False,
            footer_links=[],
            css=CSS,
        )
    except OSError as error:
        raise AxialVSError(f'--port {port}: {error}') from error
    if wait:
        page.blocks.block_thread()
    return page
