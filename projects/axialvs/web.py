"""Web demo for the shipped models: `axialvs demo --web`.

The server listens on 127.0.0.1 only, and the page loads nothing from other hosts.
"""

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
from axialvs.utils.cli import error_message
from axialvs.utils.errors import AxialVSError
from axialvs.visualization.overlay import OverlayStyle
from axialvs.visualization.timeline import TIMELINE_CSS, Timeline
from axialvs.visualization.trajectory_sheet import Point, trajectory_sheet

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
try:
    import gradio as gr
except ImportError as error:
    raise AxialVSError("gradio is not installed; run: pip install 'axialvs[web]'") from error

MODELS = {
    f'{"panoptic" if "kmax" in name else "instances"}, '
    f'{"offline" if "-cc" in name else "near-online"}': name
    for name, known in CHECKPOINTS.items()
    if known.shipped
}
OUTPUTS = {'out': 'overlay.mp4', 'json': 'tracks.json', 'html': 'page.html', 'masks': 'masks'}
EXAMPLE_RATE, EXAMPLE_SIZE = 8, (640, 384)
EXAMPLE = 2025, 7  # seed and number; the one with the most stable ids among the first nine
STYLE = OverlayStyle(trail=24)
TRAJECTORY_STEP = 4  # frame interval in a trajectory
TRAJECTORY_HEIGHT = 160  # pixels of a frame
ABOUT = (
    '# Axial-VS\nVideo segmentation with persistent ids. The shipped weights are tiny and trained '
    'on generated videos only: circle, square, triangle, star and cross, and for panoptic models '
    'sky, grass, sand and water. Predictions on other videos are meaningless.'
)


class Run:
    """Segmentation of one video, and the state that the page displays.

    Args:
        video: video file.
        model_name: name of known weights.
        folder: output folder.
    """

    def __init__(self, video: str, model_name: str, folder: Path) -> None:
        self.video = video
        self.model_name = model_name
        self.is_offline = '-cc' in model_name
        self.folder = folder
        self.stop = threading.Event()
        self.frame = 0  # currently displayed
        self.scale = 1.0  # size of the video relative to the overlay
        self.num_frames = 0
        self.timeline = Timeline()

    def segment(self, model: ClipSegmenter) -> Iterator[tuple[np.ndarray | None, int | None]]:
        """Segment the video and write all files; can be stopped after any clip.

        Yields:
            After each clip: its last frame as an overlay, and the length of the video if known.
        """
        mode = 'offline' if self.is_offline else 'near-online'
        with open_video(self.video) as reader:
            outputs = {
                x: make_output(x, self.folder / file, reader, STYLE) for x, file in OUTPUTS.items()
            }
            result = segment_video(model, reader, mode, 'live')
            try:
                for clip in result:
                    for output in outputs.values():
                        output.add(clip, model.class_names)
                    self.timeline.add(clip, model.class_names)
                    self.frame = clip.frame_indices[-1]
                    self.num_frames = self.frame + 1
                    self.scale = reader.width / outputs['out'].drawn.shape[1]
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

    def files(self) -> list[str]:
        """Return the files to download; the folder of masks is zipped."""
        if (self.folder / 'masks').is_dir():
            shutil.make_archive(str(self.folder / 'masks'), 'zip', self.folder / 'masks')
        names = [*OUTPUTS.values(), 'masks.zip']
        return [str(self.folder / name) for name in names if (self.folder / name).is_file()]


@lru_cache
def load_model(name: str, use: str) -> ClipSegmenter:
    """Build a known model, cached per use because two uses may run concurrently."""
    return init_segmenter(checkpoint=name)


class Page:
    """Layout and event handlers of the page."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix='axialvs-')  # removed with the page
        os.environ['GRADIO_TEMP_DIR'] = self._folder.name
        with gr.Blocks(title='Axial-VS', analytics_enabled=False) as self.blocks:
            gr.Markdown(ABOUT)
            self.run = gr.State()
            with gr.Row():
                with gr.Column(scale=1, min_width=330):
                    self.video = gr.Video(label='Video', sources=['upload'], height=240)
                    self.example = gr.Button('Take a generated example')
                    self.model = gr.Dropdown(list(MODELS), value=next(iter(MODELS)), label='Model')
                    with gr.Row():
                        self.start = gr.Button('Segment', variant='primary', min_width=100)
                        self.stop = gr.Button('Stop', min_width=100)
                    self.status = gr.Markdown('Drop a video or use the example.')
                    self.files = gr.File(label='Download', interactive=False, visible=False)
                with gr.Column(scale=3):
                    self.overlay = gr.Image(show_label=False, interactive=False, buttons=[])
                    self.frame = gr.Slider(0, 1, step=1, label='Frame', interactive=False)
                    self.timeline = gr.HTML()
                    self.sheet = gr.Image(
                        show_label=False, interactive=False, visible=False, buttons=['fullscreen']
                    )
            self.example.click(self.write_example, self.model, self.video)
            parts = [self.run, self.status, self.overlay, self.frame, self.timeline]
            parts += [self.files, self.sheet]
            self.start.click(self.segment, [self.video, self.model], parts, show_progress='hidden')
            self.stop.click(stop, self.run, queue=False)
            self.frame.release(show_frame, [self.run, self.frame], self.overlay)
            self.overlay.select(show_trajectory, self.run, self.sheet)

    def write_example(self, title: str) -> str:
        """Generate a video of the kind that the model was trained on."""
        level = 'panoptic' if 'kmax' in MODELS[title] else 'demo'
        path = Path(self._folder.name, f'{level}.mp4')
        with VideoWriter(path, fps=EXAMPLE_RATE) as writer:
            for image in generate_video(level, *EXAMPLE, size=EXAMPLE_SIZE).frames:
                writer.write(image)
        return str(path)

    def segment(self, video: str | None, title: str) -> Iterator[dict]:
        """Segment a video and update the page after each clip."""
        if video is None:
            raise gr.Error('Drop a video first, or use the example.')
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
                    self.timeline: run.timeline.to_html(max(length or 0, run.num_frames)),
                }
                if run.stop.is_set():
                    break
        yield {
            self.status: f'{"Stopped" if run.stop.is_set() else "Done"}: {run.num_frames} frames. '
            'Click on the overlay to see where attention looks for a pixel.',
            self.frame: gr.update(
                maximum=max(1, run.num_frames - 1), value=run.frame, interactive=True
            ),
            self.timeline: run.timeline.to_html(run.num_frames),
            self.files: gr.update(value=run.files(), visible=True),
        }


def stop(run: Run | None) -> None:
    """Stop after the current clip; finished clips are kept."""
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


def show_trajectory(run: Run | None, event: gr.SelectData) -> dict:
    """Draw where attention looks for the pixel that was clicked on."""
    if run is None or not run.num_frames:
        raise gr.Error('Segment a video first.')
    model = load_model(run.model_name, 'trajectory')
    length, step = model.clip_length, TRAJECTORY_STEP
    first = min(run.frame, max(run.frame % step, run.num_frames - 1 - step * (length - 1)))
    positions = sorted({run.frame, *range(first, run.num_frames, step)[:length]})
    images = read_frames(run.video, positions)
    x, y = (run.scale * value for value in event.index)
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
        port: None for the first free port from 7860.
        wait: block until Ctrl-C.

    Raises:
        AxialVSError: if the port is in use, or a proxy intercepts 127.0.0.1.
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
            theme=gr.themes.Default(font='system-ui', font_mono='monospace'),
            css=TIMELINE_CSS,
            quiet=True,
        )
    except OSError as error:
        raise AxialVSError(f'--port {port}: {error}') from error
    except ValueError as error:  # the server did not answer gradio within 3 seconds
        raise AxialVSError(
            '127.0.0.1 does not answer: set NO_PROXY=127.0.0.1 if there is a proxy, or try again '
            'when the machine is less busy'
        ) from error
    print(f'page: {page.blocks.local_url} (Ctrl-C ends it)')
    if wait:
        page.blocks.block_thread()
    return page
