"""Measures work, time and memory of models and of their attention: benchmark.py --help.

python tools/analysis_tools/benchmark.py CONFIG [CONFIG] --frames 2 5 --sizes 192x320 384x640
python tools/analysis_tools/benchmark.py CONFIG --lengths 20 100 --out costs.md
python tools/analysis_tools/benchmark.py --suite attention|sampling|finishing
python tools/analysis_tools/benchmark.py --suite gpu [--small]

Weights and frames are random: time does not depend on them. Two configs are timed in turns.
GFLOPs count a multiply-add as one, of the operations as the papers define them (what a reader
compares with other models) and as they are executed here.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from axialvs.utils.errors import AxialVSError

# Its notices would stand between the rows.
os.environ.setdefault('KINETO_LOG_LEVEL', '99')

import torch
from torch import nn
from tqdm import tqdm

from axialvs.apis import init_segmenter
from axialvs.engine.amp import add_option, precision_of_device
from axialvs.profiling import attention_suite, finishing_suite, sampling_suite
from axialvs.profiling.gpu_suite import FAILED, gpu_suite
from axialvs.profiling.model_costs import clip_costs, segment_noise, video_costs
from axialvs.profiling.printing import print_beside_bars
from axialvs.profiling.tables import growth, markdown, markdown_lines
from axialvs.profiling.timing import median_ratio, time_in_turns
from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.env import find_device
from axialvs.utils.files import output_file, write_atomically

CLIP_COSTS = ['gflops_defined', 'gflops_executed', 'seconds', 'forward_mib', 'training_mib']
VIDEO_COSTS = ['seconds', 'peak_mib']
SUITES = ('attention', 'sampling', 'finishing', 'gpu')
# The options that only configs take, and what they are by default. Suites have cases of their own.
OF_CONFIGS = {
    'frames': [5],
    'sizes': [(384, 640)],
    'lengths': [],
    'no_train': False,
    'amp': None,
    'compile': False,
}


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', help='one config, or two to compare')
    parser.add_argument('--suite', choices=SUITES, help='a fixed set instead')
    parser.add_argument('--frames', type=int, nargs='+', help='clip lengths T (5)')
    parser.add_argument(
        '--sizes',
        type=parse_size,
        nargs='+',
        metavar='HxW',
        help='sizes of the padded frames (384x640)',
    )
    parser.add_argument(
        '--lengths',
        type=int,
        nargs='*',
        metavar='L',
        help='lengths of whole videos in frames, from clips to tracks (none)',
    )
    parser.add_argument('--rounds', type=int, default=3, help='timed calls of each')
    parser.add_argument(
        '--no-train', action='store_true', default=None, help='leave out the training step'
    )
    add_option(parser)
    parser.add_argument(
        '--compile', action='store_true', default=None, help='inference with torch.compile'
    )
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', help='cpu, cuda ... (a GPU where torch sees one, else cpu)')
    parser.add_argument('--small', action='store_true', help='a suite in tiny shapes, to try it')
    parser.add_argument(
        '--out', type=output_file, metavar='TABLES.md', help='also write the tables here'
    )
    parser.add_argument('--json', type=output_file, help='also write the rows to this file')
    args = parser.parse_args()
    if bool(args.suite) == bool(args.configs) or len(args.configs) > 2:
        parser.error('give one config, two configs, or --suite')
    given = [name for name in OF_CONFIGS if getattr(args, name) is not None]
    if args.suite and given:
        options = ', '.join(f'--{name.replace("_", "-")}' for name in given)
        parser.error(f'--suite {args.suite} has cases of its own and does not use {options}')
    if args.configs and args.small:
        parser.error('--small goes with --suite')
    for name in OF_CONFIGS.keys() - given:
        setattr(args, name, OF_CONFIGS[name])
    if min(args.rounds, args.threads, *args.frames, *args.lengths) < 1:
        parser.error('--frames, --lengths, --rounds and --threads are at least 1')
    return args


def main() -> int:
    """Measures and prints Markdown tables; 1 if something could not be measured."""
    args = parse_args()
    args.device = str(find_device(args.device))
    if args.suite == 'gpu' and not args.small and torch.device(args.device).type == 'cpu':
        raise AxialVSError(
            '--suite gpu runs R50 models in full size, which is for a GPU, and this would be on '
            'the CPU: give --small to try it, or start it where torch sees a GPU'
        )
    torch.set_num_threads(args.threads)
    machine = describe(args)
    print(machine, flush=True)
    if args.suite == 'gpu':
        tables = gpu_suite(args.device, args.small, args.rounds)
    elif args.suite:
        tables = [(args.suite, suite_rows(args))]
    else:
        tables = compare(args)
    done = print_tables(tables, machine, args)
    failed = [title for title, rows in done.items() if any(FAILED in row for row in rows)]
    for title in failed:
        print(f'could not be measured: {title}', file=sys.stderr)
    return int(bool(failed))


def print_tables(
    tables: Iterable[tuple[str, Iterable[dict]]], machine: str, args: argparse.Namespace
) -> dict[str, list[dict]]:
    """Prints and writes every row as soon as it is there: what comes later may fail or be stopped.

    Returns:
        All rows by the titles of their tables.
    """
    done: dict[str, list[dict]] = {}
    for title, rows in tables:
        done[title] = rows if isinstance(rows, list) else []
        print_beside_bars(f'\n## {title}\n')
        for line in markdown_lines(rows if isinstance(rows, list) else kept_in(done[title], rows)):
            print_beside_bars(line)
            write_files(done, machine, args)
    return done


def kept_in(kept: list[dict], rows: Iterable[dict]) -> Iterator[dict]:
    """The rows as they come, each of which is appended to the list before."""
    for row in rows:
        kept.append(row)
        yield row


def write_files(done: dict[str, list[dict]], machine: str, args: argparse.Namespace) -> None:
    """Writes what is done so far to the files that were asked for."""
    if args.out:
        tables = [f'## {title}\n\n{markdown(rows)}\n' for title, rows in done.items()]
        write_atomically(args.out, '\n'.join([f'{machine}\n', *tables]).encode())
    if args.json:
        write_atomically(args.json, (json.dumps(done, indent=2) + '\n').encode())


def suite_rows(args: argparse.Namespace) -> Iterator[dict]:
    """Rows of a suite of functions, with a bar for how many are left."""
    suites = dict(attention=attention_suite, sampling=sampling_suite, finishing=finishing_suite)
    suite = suites[args.suite]
    shapes = suite.SMALL_SHAPES if args.small else suite.SHAPES
    if args.suite == 'attention':
        rows, num_rows = suite.attention_suite(shapes, device=args.device, rounds=args.rounds), 2
    elif args.suite == 'sampling':
        rows, num_rows = suite.sampling_suite(shapes, args.rounds), 2
    else:
        rows, num_rows = suite.finishing_suite(shapes, args.rounds), 1
    return iter(tqdm(rows, args.suite, num_rows * len(shapes), file=sys.stderr))


def describe(args: argparse.Namespace) -> str:
    """One line about the machine and how it is used."""
    device = args.device
    if torch.device(device).type == 'cuda' and torch.cuda.is_available():
        device = f'{device} ({torch.cuda.get_device_name(device)})'
    used = [f'{device}', f'{args.threads} threads', f'torch {torch.__version__}']
    used += [f'Python {platform.python_version()}', platform.machine()]
    used += [f'--amp {args.amp}'] * bool(args.amp) + ['--compile'] * args.compile
    return ', '.join(used)


def compare(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Costs of clips and videos of every config, and how they grow."""
    precision = precision_of_device(args.amp, args.device) if args.amp else None
    models = {
        Path(config).stem: init_segmenter(
            find_config(config), None, args.device, precision, args.compile
        )
        for config in args.configs
    }
    if len(models) < len(args.configs):
        raise AxialVSError(f'{args.configs[0]} is given twice')
    if not args.no_train:
        check_training_lengths(models, args.frames)
    clips = list(clip_rows(args, models))
    yield 'clips', [without_seconds(row) for row in clips]
    pixels = {f'{h}x{w}': h * w for h, w in args.sizes}
    frames = {n: n for n in (*args.frames, *args.lengths)}
    steps = growth(clips, 'T', 'frames', frames, CLIP_COSTS)
    steps += growth(clips, 'pixels', 'size', pixels, CLIP_COSTS)
    if args.lengths:
        videos = list(video_rows(args, models))
        yield 'videos, from clips to tracks', [without_seconds(row) for row in videos]
        steps += growth(videos, 'video', 'video_frames', frames, VIDEO_COSTS)
    if steps:
        yield 'how costs grow: factors from the first to the second', steps


def check_training_lengths(models: dict[str, nn.Module], lengths: list[int]) -> None:
    """Raises ValueError where an offline model cannot be trained on so many frames."""
    for name, model in models.items():
        whole = model.clip_length if 'offline' in model.modes else 1
        wrong = [length for length in lengths if length % whole]
        if wrong:
            raise AxialVSError(
                f'--frames {wrong[0]}: {name} trains on whole clips of {whole} frames; give '
                'multiples of that, or leave the training step out with --no-train'
            )


def clip_rows(args: argparse.Namespace, models: dict[str, nn.Module]) -> Iterator[dict]:
    """Costs of one clip at every size and length, frames a second in turns."""
    cases = [(*size, length) for size in args.sizes for length in args.frames]
    for height, width, length in tqdm(cases, 'clips', file=sys.stderr):
        frames = torch.randn(length, 3, height, width, device=args.device)
        rows = [
            {'config': name, **clip_costs(model, length, height, width, not args.no_train)}
            for name, model in models.items()
        ]
        calls = [partial(model.predict_clip, frames) for model in models.values()]
        add_speed(rows, calls, length, args)
        yield from rows


def video_rows(args: argparse.Namespace, models: dict[str, nn.Module]) -> Iterator[dict]:
    """Costs of whole videos at every size and length, frames a second in turns."""
    cases = [(*size, length) for size in args.sizes for length in args.lengths]
    for height, width, length in tqdm(cases, 'videos', file=sys.stderr):
        rows = [
            {'config': name, **video_costs(model, length, height, width)}
            for name, model in models.items()
        ]
        calls = [partial(segment_noise, x, length, height, width) for x in models.values()]
        add_speed(rows, calls, length, args, warm_up=0)
        yield from rows


def add_speed(
    rows: list[dict], calls: list, length: int, args: argparse.Namespace, warm_up: int = 1
) -> None:
    """Adds frames a second to each row and, where there are two, time over the first's."""
    runs = {str(i): call for i, call in enumerate(calls)}
    seconds = list(time_in_turns(runs, args.rounds, warm_up, args.device).values())
    for row, times in zip(rows, seconds, strict=True):
        row['seconds'] = statistics.median(times)
        row['frames_a_second'] = length / row['seconds']
        if len(rows) > 1:
            row['time_ratio'] = median_ratio(times, seconds[0])


def without_seconds(row: dict) -> dict:
    """A row for the table, which says frames a second."""
    return {key: value for key, value in row.items() if key != 'seconds'}


def parse_size(text: str) -> tuple[int, int]:
    """'384x640' -> (384, 640)."""
    height, _, width = text.partition('x')
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"size is '{text}': it reads HxW, as in 384x640")
    return int(height), int(width)


if __name__ == '__main__':
    sys.exit(run_command(main))
