"""Segment a video: python tools/segment_video.py VIDEO --out overlay.mp4 --json tracks.json."""

import argparse
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from axialvs.checkpoints.hub import CHECKPOINTS, find_known
from axialvs.utils.cli import run_command
from axialvs.utils.files import output_file

# The libraries of the network are imported after the arguments are parsed.
if TYPE_CHECKING:
    from axialvs.apis import VideoResult
    from axialvs.inference.readers import VideoReader
    from axialvs.inference.video_writer import VideoWriter
    from axialvs.models.clip_segmenter import ClipSegmenter
    from axialvs.structures import ClipResult

MIB = 2**20
DEFAULT_CHECKPOINT = next(iter(CHECKPOINTS.values()))


@dataclass(frozen=True)
class Options:
    """Arguments of the command."""

    video: str
    config: str | None
    checkpoint: str | None
    out: Path | None
    json: Path | None
    html: Path | None
    mode: str
    protocol: Literal['live', 'scored'] | None
    window: int | None
    window_overlap: int | None
    score_thr: float | None
    classes: list[str] | None
    max_frames: int | None
    feature_memory: int | None
    half_features: bool
    device: str | None
    amp: str | None
    compile: bool

    def problem(self) -> str | None:
        """Why the options do not go together, or None."""
        live_offline = self.mode == 'offline' and self.protocol == 'live'
        scored_offline = self.mode == 'offline' and self.protocol != 'live'
        known = None if self.checkpoint is None else find_known(self.checkpoint)
        if self.out is None and self.json is None and self.html is None:
            return 'nothing to write: give --out, --json or --html'
        if self.checkpoint is not None and self.config is None:
            if known is None:
                return '--checkpoint needs the --config that it was trained with'
            if known.config is None:
                return f'--checkpoint {self.checkpoint}: {known.description}, not for videos'
        if self.config is not None and self.checkpoint is None:
            return f'--config {self.config} needs --checkpoint, the weights of that model'
        if (self.window, self.window_overlap) != (None, None) and not live_offline:
            return '--window and --window-overlap need --mode offline --protocol live'
        if (self.feature_memory is not None or self.half_features) and not scored_offline:
            return '--feature-memory and --half-features need --mode offline --protocol scored'
        if self.feature_memory is not None and self.feature_memory < 0:
            return f'--feature-memory {self.feature_memory}: at least 0'
        if self.score_thr is not None and not 0 <= self.score_thr <= 1:
            return f'--score-thr {self.score_thr}: from 0 to 1'
        if self.max_frames is not None and self.max_frames < 1:
            return f'--max-frames {self.max_frames}: at least 1'
        return self._overwritten()

    def _overwritten(self) -> str | None:
        taken = {Path(self.video).resolve(): 'the video'}
        for name, path in (('--out', self.out), ('--json', self.json), ('--html', self.html)):
            if path is None:
                continue
            if path.resolve() in taken and name != '--out':
                other = taken[path.resolve()]
                return f'{name} {path}: is {other}, which is not overwritten; rename it'
            taken[path.resolve()] = name
        return None

    def test_cfg(self) -> dict[str, Any]:
        """Settings of the model that the options override."""
        settings: dict[str, Any] = {}
        if self.feature_memory is not None:
            settings['feature_memory'] = self.feature_memory * MIB
        if self.half_features:
            settings['feature_precision'] = 'float16'
        window = dict(num_clips=self.window, overlap=self.window_overlap)
        if chosen := {name: clips for name, clips in window.items() if clips is not None}:
            settings['window'] = chosen
        return settings


def build_parser() -> argparse.ArgumentParser:
    """Define the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('video', help='video file, folder of images, number of a camera or address (rtsp://...)')
    add('--config', help=f'config of the model ({DEFAULT_CHECKPOINT.config})')
    add(
        '--checkpoint',
        help=f'weights: a file or a known name ({DEFAULT_CHECKPOINT.name}, downloaded once)',
    )
    add('--out', type=output_file, help='overlay to write, .mp4')
    add('--json', type=output_file, help='tracks to write, .json')
    add('--html', type=output_file, help='page to write: video, masks and timeline, for a browser')
    add(
        '--mode',
        choices=('near-online', 'offline'),
        default='near-online',
        help='near-online: clip by clip; offline: all clips refined together, needs a config '
        'axialvs-cc_... and its weights',
    )
    add(
        '--protocol',
        choices=('live', 'scored'),
        help='live: tracks are decided while the video runs (default near-online), offline within '
        'a window of clips; scored: by averages over the whole video, as published (default '
        'offline)',
    )
    add(
        '--window',
        type=int,
        metavar='CLIPS',
        help="offline and live: clips that are refined together (the config's, else 16)",
    )
    add(
        '--window-overlap',
        type=int,
        metavar='CLIPS',
        help="clips that neighbouring windows share (the config's, else 4)",
    )
    add('--score-thr', type=float, help="least score of a track (the config's)")
    add('--classes', nargs='+', metavar='NAME', help='classes of interest (all)')
    add('--max-frames', type=int, metavar='N', help='stop after N frames')
    add(
        '--feature-memory',
        type=int,
        metavar='MIB',
        help='offline: mask features kept in memory, beyond which all go to a temporary file '
        "(the config's, else 1024); 0 for the file from the start",
    )
    add(
        '--half-features',
        action='store_true',
        help='offline: keep mask features in half precision, at half the size',
    )
    add('--device', help='cpu, cuda, cuda:1 ... (a GPU if there is one, else cpu)')
    add(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'float16', 'bfloat16'),
        help='mixed precision, by default bfloat16 if the device has it; float16 needs a GPU',
    )
    add(
        '--compile',
        action='store_true',
        help='torch.compile: minutes at the first clip, faster from then on; pays on a GPU',
    )
    return parser


def parse_args() -> Options:
    """Read and check the command line."""
    parser = build_parser()
    options = Options(**vars(parser.parse_args()))
    if problem := options.problem():
        parser.error(problem)
    return options


def main() -> None:
    """Segment the video and write what was asked for."""
    options = parse_args()
    signal.signal(signal.SIGTERM, _stop)
    from tqdm import tqdm

    from axialvs.apis import init_segmenter, segment_video
    from axialvs.engine.amp import precision_of_device
    from axialvs.inference.pipeline import open_video
    from axialvs.utils.env import find_device
    from axialvs.utils.files import check_writable

    # Wrong paths, suffixes and devices are reported before a model is built.
    device = find_device(options.device)
    reader = open_video(options.video)
    writer = None if options.out is None else overlay_writer(options.out, reader)
    for path in (options.json, options.html):
        if path is not None:
            check_writable(path)
    page = None if options.html is None else Page(options.html, reader)
    precision = precision_of_device(options.amp, device) if options.amp else None
    model = init_segmenter(
        options.config,
        options.checkpoint or DEFAULT_CHECKPOINT.name,
        device,
        precision,
        options.compile,
        options.test_cfg(),
    )
    for note in reader.notes:
        print(f'{options.video}: {note}')
    failure = None
    with tqdm(unit=' frames', desc='segmenting', file=sys.stderr) as bar:
        result = segment_video(
            model,
            reader,
            options.mode,
            options.protocol,
            options.score_thr,
            options.classes,
            options.max_frames,
            bar.update,
        )
        bar.total = _expected_frames(reader, options.max_frames)
        try:
            clips = result if page is None else page.record(result)
            if writer is not None:
                failure = write_overlay(clips, writer, model.class_names)
            deque(clips, maxlen=0)
        finally:
            # However the run ended, the tracks found so far are kept.
            result.close()
            if options.json is not None and result.num_frames:
                write_json(result, options, model)
            if page is not None:
                page.finish(result, model.class_names)
    report(result, writer, options, failure)
    if failure is not None:
        raise failure


def _stop(*_: object) -> None:
    """End the run like Ctrl-C, so that finished frames are kept."""
    raise KeyboardInterrupt


def _expected_frames(reader: 'VideoReader', max_frames: int | None) -> int | None:
    known = [x for x in (reader.num_frames, max_frames) if x is not None]
    return min(known, default=None)


def overlay_writer(path: Path, reader: 'VideoReader') -> 'VideoWriter':
    """Create a writer with the rate and the sound of a source."""
    from axialvs.inference.video_writer import VideoWriter

    source = Path(reader.source)
    return VideoWriter(path, reader.frame_rate, source if source.is_file() else None)


class Page:
    """The HTML page of a video: its frames without masks go to a temporary file.

    Args:
        path: of the page.
        reader: of the video, for rate and sound.
    """

    def __init__(self, path: Path, reader: 'VideoReader') -> None:
        from axialvs.visualization.html_page import Thumbnails

        self.path = path
        self._folder = TemporaryDirectory()
        self._writer = overlay_writer(Path(self._folder.name, 'frames.mp4'), reader)
        self._thumbnails = Thumbnails()
        self._times: dict[int, float] = {}  # of the recorded frames, by position

    def record(self, clips: Iterable['ClipResult']) -> Iterator['ClipResult']:
        """Record each clip on its way."""
        with self._writer:
            for clip in clips:
                for t, image in enumerate(clip.images):
                    self._writer.write(image, clip.timestamps[t])
                    self._thumbnails.add(image, clip.ids, clip.masks[:, t])
                self._times.update(zip(clip.frame_indices, clip.timestamps, strict=True))
                yield clip

    def finish(self, result: 'VideoResult', class_names: tuple[str, ...]) -> None:
        """Write the page of the recorded frames."""
        from axialvs.visualization.html_page import write_html_page

        with self._folder:
            self._writer.close()
            if not self._times:
                return
            tracks = [
                replace(track, segmentations=[track.segmentations[i] for i in self._times])
                for track in result.tracks()
            ]
            write_html_page(
                self.path,
                self._writer.path,
                tracks,
                class_names,
                list(self._times.values()),
                list(self._times),
                self._thumbnails.crops,
                title=Path(result.reader.source).name,
            )


def write_overlay(
    clips: Iterable['ClipResult'], writer: 'VideoWriter', class_names: tuple[str, ...]
) -> OSError | None:
    """Draw the tracks of each clip as it comes; returns the error if the disk is full or the like,
    for the tracks are of use without the overlay."""
    from axialvs.visualization.overlay import draw_tracks

    try:
        with writer:
            for clip in clips:
                for t, (image, time) in enumerate(zip(clip.images, clip.timestamps, strict=True)):
                    drawn = draw_tracks(
                        image, clip.masks[:, t], clip.ids, clip.labels, clip.scores, class_names
                    )
                    writer.write(drawn, time)
    except OSError as error:
        if error.filename != str(writer.path):
            raise
        return error
    return None


def write_json(result: 'VideoResult', options: Options, model: 'ClipSegmenter') -> None:
    """Write all tracks of the frames that were read."""
    from axialvs.inference.track_file import write_tracks

    tracks = result.tracks()
    timestamps = result.timestamps
    video = dict(
        source=options.video,
        width=result.reader.width,
        height=result.reader.height,
        length=len(timestamps),
        frame_rate=result.reader.frame_rate,
        timestamps=[None if time is None else round(time, 6) for time in timestamps],
        mode=options.mode,
        protocol=result.protocol,
    )
    assert options.json is not None
    write_tracks(options.json, tracks, video, model.class_names, model.category_ids)


def report(
    result: 'VideoResult',
    writer: 'VideoWriter | None',
    options: Options,
    failure: OSError | None,
) -> None:
    """Print what was done and where the results are."""
    if result.truncated:
        print(f'{options.video}: {result.truncated}; the {result.num_frames} frames read are kept')
    if writer is not None and writer.sound_problem:
        print(writer.sound_problem)
    print(f'{result.num_frames} frames, {len(result.tracks())} tracks')
    outputs = ((options.out, failure is None), (options.json, True), (options.html, True))
    for path, written in outputs:
        if path is not None and written:
            print(f'wrote {path}')


if __name__ == '__main__':
    sys.exit(run_command(main))
