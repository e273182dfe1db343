"""Measures memory and time over the length of a generated stream of frames.

python tools/analysis_tools/stream_memory.py [CONFIG] --checkpoint W [--frames 60 600 6000]

A generated video of moving shapes runs to its end and back, again and again, so that neither the
source nor the disk holds the stream. Each protocol and length runs in a process of its own; the
peak is of all of its resident memory, network and libraries included.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

from axialvs.apis import init_segmenter, segment_video
from axialvs.datasets.moving_shapes.video import generate_video
from axialvs.inference.readers import Frame, VideoReader
from axialvs.profiling.alone import run_alone
from axialvs.profiling.printing import print_beside_bars
from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.env import peak_resident_bytes
from axialvs.utils.files import output_file, write_atomically

DEFAULT_CONFIG = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'
PROTOCOLS = ('live', 'scored')
MIB = 2**20
FRAME_RATE = 10.0


class GeneratedStream(VideoReader):
    """Frames of a generated video, forwards and backwards in turns.

    Args:
        num_frames: length of the stream.
    """

    def __init__(self, num_frames: int) -> None:
        frames = generate_video('demo', seed=0, index=0, split='valid').frames
        self._turn = [*frames, *frames[-2:0:-1]]
        self.source = 'generated stream'
        self.height, self.width = frames.shape[1:3]
        self.frame_rate = FRAME_RATE
        self.num_frames = num_frames

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.num_frames):
            yield Frame(index, index / FRAME_RATE, self._turn[index % len(self._turn)])


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default=DEFAULT_CONFIG)
    parser.add_argument('--checkpoint', help='weights (random)')
    parser.add_argument('--frames', type=int, nargs='+', default=[60, 600, 6000])
    parser.add_argument('--protocols', nargs='+', choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument('--out', type=output_file, help='also write the figures to this JSON file')
    parser.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if min(args.frames) < 1:
        parser.error('--frames: at least 1 each')
    return args


def main() -> None:
    """Measures one run, or starts a process for each and prints a table."""
    args = parse_args()
    if args.one:
        print(json.dumps(measure(args, args.one[0], int(args.one[1]))))
        return
    find_config(args.config)  # a wrong name is said before a process is started
    figures = []
    print('| protocol | frames | peak, MiB | ratio to the first | s | tracks |', flush=True)
    print('|---|---|---|---|---|---|', flush=True)
    number = len(args.protocols) * sum(args.frames)
    with tqdm(total=number, unit=' frames', file=sys.stderr) as bar:
        for protocol in args.protocols:
            runs = []
            for length in args.frames:
                case = f'{protocol}, {length} frames'
                bar.set_description(case)
                now = run_alone(case, ['--one', protocol, length])
                runs.append(now)
                print_beside_bars(
                    f'| {protocol} | {length} | {now["peak_mib"]:.1f} '
                    f'| {now["peak_mib"] / runs[0]["peak_mib"]:.3f} | {now["seconds"]:.0f} '
                    f'| {now["tracks"]} |'
                )
                bar.update(length)
            figures += runs
    if args.out:
        write_atomically(args.out, (json.dumps(figures, indent=2) + '\n').encode())


def measure(args: argparse.Namespace, protocol: str, length: int) -> dict:
    """Peak resident memory and time of one stream, every clip of which is looked at."""
    model = init_segmenter(find_config(args.config), args.checkpoint, 'cpu')
    start = time.perf_counter()
    result = segment_video(model, GeneratedStream(length), protocol=protocol)
    seen = sum(len(clip.frame_indices) for clip in result)
    if seen != length:
        raise RuntimeError(f'{length} frames went in, {seen} came out')
    tracks = len(result.tracks())
    return dict(
        protocol=protocol,
        frames=length,
        peak_mib=peak_resident_bytes() / MIB,
        seconds=time.perf_counter() - start,
        tracks=tracks,
    )


if __name__ == '__main__':
    sys.exit(run_command(main))
