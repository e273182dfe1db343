"""Segments a video: python tools/segment_video.py VIDEO --out overlay.mp4 --json tracks.json."""

import argparse
import signal
import sys
from collections import deque
from pathlib import Path

from tqdm import tqdm

from axialvs.apis import VideoResult, init_segmenter, segment_video
from axialvs.checkpoints.hub import CHECKPOINTS, find_known, resolve_checkpoint
from axialvs.engine import amp
from axialvs.inference.pipeline import VideoReader, open_video
from axialvs.inference.track_file import write_tracks
from axialvs.inference.video_writer import VideoWriter
from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.env import find_device
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file
from axialvs.visualization.overlay import draw_tracks

MIB = 2**20
DEFAULT_CHECKPOINT = next(iter(CHECKPOINTS.values()))


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', help='video file, folder of images or number of a camera')
    parser.add_argument('--config', help=f'config of the model ({DEFAULT_CHECKPOINT.config})')
    parser.add_argument(
        '--checkpoint',
        help=f'weights: a file or a known name ({DEFAULT_CHECKPOINT.name}, downloaded once)',
    )
    parser.add_argument('--out', type=output_file, help='overlay to write, .mp4')
    parser.add_argument('--json', type=output_file, help='tracks to write, .json')
    parser.add_argument(
        '--mode',
        choices=('near-online', 'offline'),
        default='near-online',
        help='near-online: clip by clip; offline: all clips refined together, needs a config '
        'axialvs-cc_... and its weights',
    )
    parser.add_argument(
        '--protocol',
        choices=('live', 'scored'),
        help='live: tracks are decided as the video runs (default near-online), offline within a '
        'window of clips; scored: by averages over the whole video, as published (default offline)',
    )
    parser.add_argument(
        '--window',
        type=int,
        metavar='CLIPS',
        help="offline and live: clips that are refined together (the config's, else 16)",
    )
    parser.add_argument(
        '--window-overlap',
        type=int,
        metavar='CLIPS',
        help="clips that neighbouring windows share (the config's, else 4)",
    )
    parser.add_argument(
        '--score-thr', type=float, help="least score of what is shown (the config's)"
    )
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='classes that are shown (all)')
    parser.add_argument('--max-frames', type=int, metavar='N', help='stop after N frames')
    parser.add_argument(
        '--feature-memory',
        type=int,
        metavar='MIB',
        help='offline: mask features kept in memory, beyond which all go to a temporary file '
        "(the config's, else 1024); 0 for the file from the start",
    )
    parser.add_argument(
        '--half-features',
        action='store_true',
        help='offline: keep mask features in half precision, in half the room',
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1 ... (a GPU where torch sees one, else cpu)'
    )
    amp.add_option(parser)
    parser.add_argument(
        '--compile',
        action='store_true',
        help='torch.compile: minutes at the first clip, quicker from then on; pays on a GPU',
    )
    args = parser.parse_args()
    if args.out is None and args.json is None:
        parser.error('nothing to write: give --out, --json or both')
    if args.json is not None:
        for name, other in (('the video', args.video), ('--out', args.out)):
            if other is not None and args.json.resolve() == Path(other).resolve():
                parser.error(f'--json {args.json}: is {name} and not overwritten; change the name')
    known = None if args.checkpoint is None else find_known(args.checkpoint)
    if args.checkpoint is not None and args.config is None:
        if known is None:
            parser.error('--checkpoint needs the --config that it was trained with')
        if known.config is None:
            parser.error(f'--checkpoint {args.checkpoint}: {known.description}, not for videos')
    live = args.protocol == 'live'
    if not (args.mode == 'offline' and live) and (args.window, args.window_overlap) != (None, None):
        parser.error('--window and --window-overlap go with --mode offline --protocol live')
    if (args.mode != 'offline' or live) and (args.feature_memory is not None or args.half_features):
        parser.error(
            '--feature-memory and --half-features go with --mode offline --protocol scored'
        )
    if args.feature_memory is not None and args.feature_memory < 0:
        parser.error(f'--feature-memory {args.feature_memory}: at least 0')
    if args.score_thr is not None and not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr {args.score_thr}: from 0 to 1')
    if args.max_frames is not None and args.max_frames < 1:
        parser.error(f'--max-frames {args.max_frames}: at least 1')
    return args


def main() -> None:
    """Segments the video and writes what was asked for."""
    args = parse_args()
    signal.signal(signal.SIGTERM, _stop)
    # A wrong path, ending or device is said before a model is built.
    with open_video(args.video) as reader:
        writer = None if args.out is None else overlay_writer(args.out, reader)
    device = find_device(args.device)
    checkpoint = args.checkpoint or (None if args.config else DEFAULT_CHECKPOINT.name)
    config = args.config or find_known(checkpoint).config
    config_file = find_config(config)
    if checkpoint is None:
        raise AxialVSError(f'--config {args.config} needs --checkpoint, the weights of that model')
    precision = amp.precision_of_device(args.amp, device) if args.amp else None
    model = init_segmenter(
        config_file, resolve_checkpoint(checkpoint), device, precision, args.compile
    )
    if args.feature_memory is not None:
        model.test_cfg['feature_memory'] = args.feature_memory * MIB
    if args.half_features:
        model.test_cfg['feature_precision'] = 'float16'
    window = dict(num_clips=args.window, overlap=args.window_overlap)
    chosen = {name: clips for name, clips in window.items() if clips is not None}
    if chosen:
        model.test_cfg['window'] = {**model.test_cfg.get('window', {}), **chosen}

    with tqdm(unit=' frames', desc='segmenting', file=sys.stderr) as bar:
        result = segment_video(
            model,
            args.video,
            args.mode,
            args.protocol,
            args.score_thr,
            args.classes,
            args.max_frames,
            bar.update,
        )
        bar.total = _expected_frames(result, args.max_frames)
        try:
            if writer is not None:
                write_overlay(result, writer, model.class_names)
            else:
                deque(result, maxlen=0)
        finally:
            # Whatever ended the run, the tracks found until then are kept.
            result.close()
            if args.json is not None and result.num_frames:
                write_json(result, args, model)
    report(result, args)


def _stop(*_: object) -> None:
    """Ends the run like Ctrl-C, so that what is finished is kept."""
    raise KeyboardInterrupt


def _expected_frames(result: VideoResult, max_frames: int | None) -> int | None:
    known = [x for x in (result.reader.num_frames, max_frames) if x is not None]
    return min(known, default=None)


def overlay_writer(path: Path, reader: VideoReader) -> VideoWriter:
    """Writes at the rate and with the sound of a source, and makes no file before a frame comes."""
    source = Path(reader.source)
    return VideoWriter(path, reader.frame_rate, source if source.is_file() else None)


def write_overlay(result: VideoResult, writer: VideoWriter, class_names: tuple[str, ...]) -> None:
    """Draws the tracks of each clip as it comes."""
    with writer:
        for clip in result:
            for t, (image, timestamp) in enumerate(zip(clip.images, clip.timestamps, strict=True)):
                drawn = draw_tracks(
                    image, clip.masks[:, t], clip.ids, clip.labels, clip.scores, class_names
                )
                writer.write(drawn, timestamp)


def write_json(result: VideoResult, args: argparse.Namespace, model) -> None:
    """Writes all tracks of the frames that were read."""
    tracks = result.tracks()
    reader = result.reader
    video = dict(
        source=args.video,
        width=reader.width,
        height=reader.height,
        length=result.num_frames,
        frame_rate=reader.frame_rate,
        mode=args.mode,
        protocol=result.protocol,
    )
    write_tracks(args.json, tracks, video, model.class_names, model.category_ids)


def report(result: VideoResult, args: argparse.Namespace) -> None:
    """Says what was done and where it lies."""
    if result.truncated:
        print(
            f'{args.video} breaks off: {result.truncated}; '
            f'the {result.num_frames} frames before are kept'
        )
    print(f'{result.num_frames} frames, {len(result.tracks())} tracks')
    for path in (args.out, args.json):
        if path is not None:
            print(f'wrote {path}')


if __name__ == '__main__':
    sys.exit(run_command(main))
