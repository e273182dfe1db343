"""Segment a video: python tools/segment_video.py VIDEO --out overlay.mp4 --json tracks.json."""

import argparse
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from axialvs.checkpoints.hub import CHECKPOINTS, find_known
from axialvs.utils.cli import run_command
from axialvs.utils.files import output_file, output_folder

# The libraries of the network are imported after the arguments are parsed.
if TYPE_CHECKING:
    from axialvs.apis import VideoResult
    from axialvs.inference.outputs import Output, SegmentedVideo
    from axialvs.inference.readers import VideoReader
    from axialvs.models.clip_segmenter import ClipSegmenter

MIB = 2**20
OUTPUTS = ('out', 'json', 'html', 'masks', 'panoptic', 'boxes', 'crops')
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
    masks: Path | None
    panoptic: Path | None
    boxes: Path | None
    crops: Path | None
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
        if not self.outputs():
            return f'nothing to write: give one of --{", --".join(OUTPUTS)}'
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
        for name, path in self.outputs().items():
            name = f'--{name}'
            if path.resolve() in taken and name != '--out':
                other = taken[path.resolve()]
                return f'{name} {path}: is {other}, which is not overwritten; rename it'
            taken[path.resolve()] = name
        return None

    def outputs(self) -> dict[str, Path]:
        """What to write, by the name of the option."""
        paths = {name: getattr(self, name) for name in OUTPUTS}
        return {name: path for name, path in paths.items() if path is not None}

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
        '--masks',
        type=output_folder,
        metavar='DIR',
        help='folder of PNGs to write, one per frame: pixel values are track ids',
    )
    add(
        '--panoptic',
        type=submission_folder,
        metavar='DIR',
        help="folder in VIPSeg's submission layout: pred.json and pan_pred/VIDEO/FRAME.png",
    )
    add('--boxes', type=output_file, metavar='FILE.csv', help='boxes of things to write, .csv')
    add(
        '--crops',
        type=output_folder,
        metavar='DIR',
        help='folder of cut-outs with alpha to write, one per thing',
    )
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


def submission_folder(text: str) -> Path:
    """Convert an argument to a folder that is new or empty, or has a submission to add to.

    Raises:
        ArgumentTypeError: it is a different file or folder.
    """
    return Path(text) if Path(text, 'pred.json').is_file() else output_folder(text)


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
    from axialvs.inference.outputs import make_output
    from axialvs.inference.pipeline import open_video
    from axialvs.utils.env import find_device

    # Wrong paths, suffixes and devices are reported before a model is built.
    device = find_device(options.device)
    reader = open_video(options.video)
    outputs = [make_output(name, path, reader) for name, path in options.outputs().items()]
    precision = precision_of_device(options.amp, device) if options.amp else None
    model = init_segmenter(
        options.config,
        options.checkpoint or DEFAULT_CHECKPOINT.name,
        device,
        precision,
        options.compile,
        options.test_cfg(),
    )
    known_notes = print_notes(reader)
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
        failures: dict[Output, OSError] = {}
        try:
            for clip in result:
                write_each(outputs, failures, methodcaller('add', clip, model.class_names))
        finally:
            # However the run ended, the tracks found so far are kept.
            result.close()
            if result.num_frames:
                video = describe(result, options, model)
                write_each(outputs, failures, methodcaller('finish', video))
            for output in outputs:
                output.close()
    print_notes(reader, known_notes)
    report(result, outputs, options, failures)
    for error in failures.values():
        raise error


def print_notes(reader: 'VideoReader', known: Collection[str] = ()) -> list[str]:
    """Print what a reader converts or skips, without the known notes; return all notes."""
    for note in reader.notes:
        if note not in known:
            print(f'{reader.source}: {note}')
    return list(reader.notes)


def _stop(*_: object) -> None:
    """End the run like Ctrl-C, so that finished frames are kept."""
    raise KeyboardInterrupt


def _expected_frames(reader: 'VideoReader', max_frames: int | None) -> int | None:
    known = [x for x in (reader.num_frames, max_frames) if x is not None]
    return min(known, default=None)


def write_each(
    outputs: list['Output'], failures: dict['Output', OSError], step: Callable[['Output'], None]
) -> None:
    """Write to all outputs; one that fails, as on a full disk, does not cost the others."""
    for output in outputs:
        if output not in failures:
            try:
                step(output)
            except OSError as error:
                failures[output] = error


def describe(result: 'VideoResult', options: Options, model: 'ClipSegmenter') -> 'SegmentedVideo':
    """Collect what the outputs are made of."""
    import axialvs
    from axialvs.inference.outputs import SegmentedVideo

    tracks = result.tracks()
    threshold = model.test_cfg['score_threshold'] if options.score_thr is None else 0
    is_scored = result.protocol == 'scored'
    times = result.timestamps
    checkpoint = options.checkpoint or DEFAULT_CHECKPOINT.name
    known = find_known(checkpoint)
    return SegmentedVideo(
        name=Path(result.reader.source).name,
        video=dict(
            source=options.video,
            width=result.reader.width,
            height=result.reader.height,
            length=len(times),
            frame_rate=result.reader.frame_rate,
            timestamps=[None if time is None else round(time, 6) for time in times],
            mode=options.mode,
            protocol=result.protocol,
        ),
        model=dict(
            axialvs=axialvs.__version__,
            config=options.config or (known and known.config),
            checkpoint=checkpoint,
        ),
        tracks=tracks,
        shown=[track for track in tracks if track.score >= threshold or not is_scored],
        times={i: time for i, time in enumerate(times) if time is not None},
        frame_names={
            i: result.reader.frame_name(i) for i, time in enumerate(times) if time is not None
        },
        class_names=model.class_names,
        category_ids=model.category_ids,
        thing_labels=model.finisher.thing_labels,
    )


def report(
    result: 'VideoResult',
    outputs: list['Output'],
    options: Options,
    failures: dict['Output', OSError],
) -> None:
    """Print what was done and where the results are."""
    if result.truncated:
        print(f'{options.video}: {result.truncated}; the {result.num_frames} frames read are kept')
    print(f'{result.num_frames} frames, {len(result.tracks())} tracks')
    for output in outputs:
        for note in output.notes:
            print(note)
        if output not in failures:
            print(f'wrote {output.path}')


if __name__ == '__main__':
    sys.exit(run_command(main))
