"""Arguments of the command that segments videos."""

import argparse
import os
from argparse import ArgumentTypeError
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from axialvs.checkpoints.hub import CHECKPOINTS, find_known
from axialvs.engine.options import add_amp_option
from axialvs.inference.batch import Job, find_sources, name_sources
from axialvs.utils.cli import number_from
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, output_folder

MIB = 2**20
OUTPUTS = ('out', 'json', 'html', 'masks', 'mattes', 'panoptic', 'boxes', 'crops')
_SUFFIXES = {'out': '.mp4', 'json': '.json', 'html': '.html', 'boxes': '.csv'}  # others: folders
DEFAULT_CHECKPOINT = next(iter(CHECKPOINTS.values()))


@dataclass(frozen=True)
class Options:
    """Arguments of the command."""

    videos: list[str]
    config: str | None
    checkpoint: str | None
    out: str | None
    json: str | None
    html: str | None
    format: Literal['tracks', 'youtube-vis', 'coco-video']
    masks: str | None
    mattes: str | None
    panoptic: str | None
    boxes: str | None
    crops: str | None
    labels: Literal['id', 'class', 'none']
    alpha: float
    draw_boxes: bool
    trail: int
    overwrite: bool
    mode: str
    protocol: Literal['live', 'scored'] | None
    window: int | None
    window_overlap: int | None
    track_buffer: int | None
    score_thr: float | None
    classes: list[str] | None
    stride: int
    max_frames: int | None
    reconnect: float | None
    feature_memory: int | None
    half_features: bool
    device: str | None
    amp: str | None
    compile: bool

    @property
    def weights(self) -> str:
        """Checkpoint, by default the first known one."""
        return self.checkpoint or DEFAULT_CHECKPOINT.name

    def problem(self) -> str | None:
        """Return why the options are invalid together, or None."""
        live_offline = self.mode == 'offline' and self.protocol == 'live'
        scored_offline = self.mode == 'offline' and self.protocol != 'live'
        known = None if self.checkpoint is None else find_known(self.checkpoint)
        if not self.outputs():
            return f'nothing to write: give --out overlay.mp4, or --{", --".join(OUTPUTS[1:])}'
        if self.checkpoint is not None and self.config is None:
            if known is None and not Path(self.checkpoint).is_file():
                return f'--checkpoint {self.checkpoint}: no such file, nor one of `axialvs models`'
            if known is None:
                return '--checkpoint needs the --config that it was trained with'
            if known.config is None:
                return f'--checkpoint {self.checkpoint}: {known.description}, not for videos'
        if self.config is not None and self.checkpoint is None:
            return f'--config {self.config} needs --checkpoint, the weights of that model'
        if (self.window, self.window_overlap) != (None, None) and not live_offline:
            return '--window and --window-overlap need --mode offline --protocol live'
        if self.track_buffer is not None and self.mode == 'offline':
            return '--track-buffer needs --mode near-online; offline already uses all clips'
        if (self.feature_memory is not None or self.half_features) and not scored_offline:
            return '--feature-memory and --half-features need --mode offline --protocol scored'
        if self.format != 'tracks' and self.json is None:
            return f'--format {self.format} needs --json'
        return None

    def jobs(self) -> list[Job]:
        """Find the videos and their outputs.

        Raises:
            AxialVSError: if a pattern matches nothing, or the path of an output is invalid.
        """
        sources, several = find_sources(self.videos)
        return [
            self._job(source, name, several)
            for source, name in zip(sources, name_sources(sources), strict=True)
        ]

    def _job(self, source: str, name: str, several: bool) -> Job:
        targets: dict[str, Path] = {}
        recorded = set()
        taken = {Path(source).resolve(): 'the video'}
        for option, text in self.outputs().items():
            suffix = _SUFFIXES.get(option, '')
            in_folder = suffix and (text.endswith(os.sep) or Path(text).is_dir())
            if several and Path(text).suffix.lower() == suffix != '' and not in_folder:
                raise AxialVSError(f'--{option} {text}: several videos need a folder, not a file')
            try:
                if several or in_folder:
                    recorded.add(option)
                    target = Path(text, name + suffix)
                    output_file(str(Path(text, 'x')))
                elif option == 'panoptic':
                    target = Path(text)
                    known = ('pred.json', 'parts')  # killed runs leave `parts`
                    if not self.overwrite and not any((target / x).exists() for x in known):
                        output_folder(text)
                elif suffix or self.overwrite:
                    target = Path(text) if not suffix else output_file(text)
                else:
                    target = output_folder(text)
            except ArgumentTypeError as error:
                raise AxialVSError(f'--{option}: {error}') from error
            if option == 'panoptic':
                target = Path(text, 'pan_pred', name.replace(os.sep, '_'))
            if target.resolve() in taken and option != 'out':
                other = taken[target.resolve()]
                raise AxialVSError(
                    f'--{option} {target}: refusing to overwrite {other}; choose a different path'
                )
            taken[target.resolve()] = f'--{option}'
            targets[option] = target
        return Job(source, name, targets, frozenset(recorded))

    def settings(self) -> dict[str, Any]:
        """Return the settings that results depend on."""
        apart = {
            *OUTPUTS,
            'videos',
            'overwrite',
            'device',
            'compile',
            'feature_memory',
            'reconnect',
        }
        return {name: value for name, value in asdict(self).items() if name not in apart}

    def outputs(self) -> dict[str, str]:
        """Paths to write, by the name of the option."""
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
        if self.track_buffer is not None:
            settings['linking'] = dict(memory=dict(max_age=self.track_buffer))
        return settings


def build_parser(description: str) -> argparse.ArgumentParser:
    """Define the arguments."""
    usage = '%(prog)s VIDEO [VIDEO ...] --out FILE.mp4 [options]'
    parser = argparse.ArgumentParser(usage=usage, description=description)
    parser.add_argument(
        'videos',
        nargs='+',
        metavar='VIDEO',
        help='video file, folder of images or videos, glob pattern, camera number, or URL '
        '(rtsp://...); for several videos, outputs are folders',
    )
    _add_model(parser.add_argument_group('model'))
    _add_outputs(parser.add_argument_group('outputs, at least one'))
    _add_overlay(parser.add_argument_group('overlay'))
    _add_tracking(parser.add_argument_group('tracks'))
    _add_reading(parser.add_argument_group('frames'))
    return parser


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add('--config', help=f'config of the model (default: {DEFAULT_CHECKPOINT.config})')
    add(
        '--checkpoint',
        help='weights: a file or a name that `axialvs models` lists (default: '
        f'{DEFAULT_CHECKPOINT.name}, downloaded once)',
    )
    add('--device', help='cpu, cuda, cuda:1, ... (default: a GPU if there is one, else cpu)')
    add_amp_option(group)
    add(
        '--compile',
        action='store_true',
        help='use torch.compile, which takes minutes at the first clip; for long videos on a GPU',
    )


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add('--out', metavar='FILE.mp4', help='the video with masks, contours and labels')
    add('--html', metavar='FILE.html', help='HTML page with the video, its masks and a timeline')
    add('--json', metavar='FILE.json', help='tracks: class, score, masks (RLE) and boxes')
    add(
        '--format',
        choices=('tracks', 'youtube-vis', 'coco-video'),
        default='tracks',
        help='layout of --json: tracks (default), or an annotation file of YouTube-VIS or of COCO '
        'with videos; for panoptic annotations see --panoptic',
    )
    add('--boxes', metavar='FILE.csv', help='boxes of things, a row per track and frame')
    add('--masks', metavar='DIR', help='a PNG per frame: pixel values are track ids')
    add('--mattes', metavar='DIR', help='a folder per track with a grayscale matte per frame')
    add('--crops', metavar='DIR', help='a cut-out with alpha per thing')
    add(
        '--panoptic',
        metavar='DIR',
        help="VIPSeg's submission layout: pred.json and pan_pred/VIDEO/FRAME.png",
    )
    add(
        '--overwrite',
        action='store_true',
        help='segment finished videos again, and replace files of other programs',
    )


def _add_overlay(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        '--labels',
        choices=('id', 'class', 'none'),
        default='id',
        help='text: class, id and score (id, default), only the class, or none',
    )
    add(
        '--alpha',
        type=number_from(0, 1, float),
        default=0.45,
        help='opacity of masks (default: 0.45)',
    )
    add('--draw-boxes', action='store_true', help='draw a box around each thing')
    add(
        '--trail',
        type=number_from(0),
        nargs='?',
        const=24,
        default=0,
        metavar='FRAMES',
        help='draw a fading line through the past positions of things (default: 24 frames)',
    )


def _add_tracking(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        '--score-thr',
        type=number_from(0, 1, float),
        help="minimum score of a track (default: the config's)",
    )
    add('--classes', nargs='+', metavar='NAME', help='keep only these classes')
    add(
        '--mode',
        choices=('near-online', 'offline'),
        default='near-online',
        help='near-online: link clip by clip (default); offline: refine all clips together, with '
        'an offline model such as axialvs-cc_tiny_movingshapes',
    )
    add(
        '--protocol',
        choices=('live', 'scored'),
        help='live: output tracks while the video runs, offline within a window of clips '
        '(default near-online); scored: by averages over the whole video, as in the paper '
        '(default offline)',
    )
    add(
        '--window',
        type=number_from(1),
        metavar='CLIPS',
        help="offline and live: clips that are refined together (default: the config's, or 16)",
    )
    add(
        '--window-overlap',
        type=number_from(0),
        metavar='CLIPS',
        help="offline and live: clips that successive windows share (default: the config's, or 4)",
    )
    add(
        '--track-buffer',
        type=number_from(1),
        metavar='CLIPS',
        help='near-online: keep the id of a hidden object for this many clips',
    )
    add(
        '--feature-memory',
        type=number_from(0),
        metavar='MIB',
        help='offline: size of mask features in memory, beyond which a temporary file is used '
        "(default: the config's, or 1024)",
    )
    add(
        '--half-features',
        action='store_true',
        help='offline: store mask features in half precision',
    )


def _add_reading(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        '--stride',
        type=number_from(1),
        default=1,
        metavar='N',
        help='segment every Nth frame (default: 1)',
    )
    add('--max-frames', type=number_from(1), metavar='N', help='stop after N segmented frames')
    add(
        '--reconnect',
        type=number_from(0, kind=float),
        metavar='SECONDS',
        help='time to try to reopen a lost stream (default: 30); 0 to disable',
    )


def parse_args(description: str) -> Options:
    """Read and check the command line."""
    parser = build_parser(description)
    options = Options(**vars(parser.parse_args()))
    if problem := options.problem():
        parser.error(problem)
    return options
