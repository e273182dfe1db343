"""Measure time and memory of models, trajectory attention, whole videos and evaluation.

benchmark.py model CONFIG [CONFIG] --frames 2 5 --sizes 192x320 384x640
benchmark.py model CONFIG --flops-only --frames 2 --sizes 769x1345
benchmark.py attention
benchmark.py video [CONFIG] --lengths 60 600 6000
benchmark.py video [CONFIG] --against-mmdet
benchmark.py evaluation
benchmark.py gpu --out gpu.md

Weights and frames are random: neither time nor memory depends on them. Calls that are compared
alternate. A multiply-add counts as one.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from axialvs.utils.cli import ConfigOptions, run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, write_atomically

os.environ.setdefault('KINETO_LOG_LEVEL', '99')  # the profiler's notices

FAILED = 'failed'
DTYPES = ('bfloat16', 'float16', 'float32')
ATTENTION_SHAPES = ((5, 23, 40), (2, 48, 84), (2, 97, 169), (24, 100))
SMALL_ATTENTION_SHAPES = ((2, 3, 4), (3, 5))
WITHIN_CLIP = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021'
SMALL_WITHIN_CLIP = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'


class Worker:
    """An object of benchmark_cases.py in a process of its own.

    Its memory is its own, it compiles while others compile, and neither a crash nor a call that
    does not end affects other measurements.

    Args:
        case: name of the class.
        arguments: of its constructor.
        fork: whether to copy this process, which saves the imports but must not have used CUDA.
    """

    def __init__(self, case: str, *arguments: object, fork: bool = False) -> None:
        context = multiprocessing.get_context('fork' if fork else 'spawn')
        self._connection, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end, case, arguments))
        self._process.start()
        end.close()

    def is_ready(self, timeout: float) -> bool:
        """Whether a result, first that of the constructor, arrives within this many seconds."""
        return self._connection.poll(max(0.0, timeout))

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the constructor (None) or the last method.

        Raises:
            AxialVSError: if it failed, or did not finish in time; then the process is ended.
        """
        if timeout is not None and not self.is_ready(timeout):
            self.stop()
            raise AxialVSError(f'not finished after {timeout:.0f} s')
        try:
            failure, value = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise AxialVSError(f'exit code {self._process.exitcode}') from error
        if failure:
            raise AxialVSError(failure)
        return value

    def ask(self, method: str, *arguments: object, timeout: float | None = None) -> Any:
        """Call a method of the object; see `result`."""
        try:
            self._connection.send((method, arguments))
        except OSError as error:
            raise AxialVSError('the process has ended') from error
        return self.result(timeout)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, case: str, arguments: Sequence) -> None:
    os.dup2(2, 1)  # the output stream is for tables
    worker, method, values = None, '', arguments
    while True:
        try:
            if worker is None:
                value = None
                worker = getattr(importlib.import_module('benchmark_cases'), case)(*values)
            else:
                value = getattr(worker, method)(*values)
            connection.send(('', value))
        except Exception as error:
            traceback.print_exc()
            connection.send((failure_text(error), None))
            if worker is None:
                return
        method, values = connection.recv()


def failure_text(error: BaseException) -> str:
    """Class and message of an error in one line."""
    text = ' '.join(str(error).split())
    text = text if len(text) < 300 else f'{text[:150]} ... {text[-150:]}'
    return text if isinstance(error, AxialVSError) else f'{type(error).__name__}: {text}'


class Report:
    """Tables on the output stream and in files, written after each table.

    Args:
        title: first line.
        out: Markdown file, or None; a JSON file of the same name gets the rows.
    """

    def __init__(self, title: str, out: Path | None = None) -> None:
        self._out = out
        self._markdown = [f'# {title}']
        self.tables: dict[str, list[dict]] = {}
        print(self._markdown[0], flush=True)

    def add(self, title: str, rows: Sequence[dict]) -> None:
        """Add a table; the keys of the rows are its columns."""
        self.tables[title] = list(rows)
        self._markdown.append(f'## {title}\n\n{markdown(rows)}')
        print(f'\n{self._markdown[-1]}', flush=True)
        if self._out:
            write_atomically(self._out, ('\n\n'.join(self._markdown) + '\n').encode())
            rows_file = self._out.with_suffix('.json')
            write_atomically(rows_file, (json.dumps(self.tables, indent=1) + '\n').encode())

    def exit_code(self) -> int:
        """1 if a row says that something failed, else 0."""
        failed = [title for title, rows in self.tables.items() if any(FAILED in x for x in rows)]
        for title in failed:
            print(f'failed: {title}', file=sys.stderr)
        return int(bool(failed))


def markdown(rows: Sequence[Mapping]) -> str:
    """Return a Markdown table; a key that a row lacks is an empty cell."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ['---'] * len(columns)]
    lines += [[_cell(row.get(key, '')) for key in columns] for row in rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value).replace('|', ' ')
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


# Everything on a GPU


class GPUPlan:
    """Configs and sizes of the command `gpu`; the small ones show on a CPU that all parts run."""

    def __init__(self, small: bool) -> None:
        self.small = small
        self.compiled = [False] if small else [True, False]  # tracing takes a minute on a CPU
        if small:
            self.baseline = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes'
            self.within_clip = SMALL_WITHIN_CLIP
            self.others, self.shapes = [], [(3, 96, 160)]
            self.attention = [SMALL_ATTENTION_SHAPES]
            self.videos, self.video_frames = [(96, 160)], 6
            return
        self.baseline = 'tube_link/tube-link_r50_8xb1-15k_youtubevis2021'
        self.within_clip = WITHIN_CLIP
        configs = Path(__file__).resolve().parents[2] / 'configs'
        kmax = sorted([*configs.glob('*/axialvs-wc-kmax_r50*'), *configs.glob('*/video-kmax_r50*')])
        self.others = ['axialvs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021', *map(str, kmax[:1])]
        # clips of 360x640, and of the paper's 769x1345, padded
        self.shapes = [(4, 384, 640), (2, 800, 1376)]
        self.attention = [ATTENTION_SHAPES[:2], ATTENTION_SHAPES[2:]]
        self.videos, self.video_frames = [(360, 640), (720, 1280)], 120

    def pairs(self) -> list[list[tuple]]:
        """Tube-Link without and with the within-clip module, to be compared; see `models`."""
        return [
            [(config, shape, 'bfloat16', compiled) for config in (self.baseline, self.within_clip)]
            for shape in self.shapes
            for compiled in self.compiled
        ]

    def models(self) -> list[tuple]:
        """(config, shape, dtype, whether compiled) of each process."""
        single = [
            (config, self.shapes[0], dtype, compiled)
            for config in (self.within_clip, *self.others)
            for dtype in (['bfloat16'] if self.small else ['bfloat16', 'float16'])
            for compiled in self.compiled
        ]
        if not self.small:
            single.append((self.within_clip, self.shapes[0], 'float32', False))
        return list(dict.fromkeys([*(key for pair in self.pairs() for key in pair), *single]))


def run_gpu(args: argparse.Namespace) -> int:
    """Measure all parts within `args.seconds` and report each at once, errors in its rows."""
    start = time.monotonic()
    plan, device = GPUPlan(args.small), args.device or ('cpu' if args.small else 'cuda')
    report = Report('Benchmark on a GPU' + ', small form' * args.small, args.out)
    os.environ.setdefault('TORCHINDUCTOR_COMPILE_THREADS', '4')
    if args.small:  # kernels are interpreted, and processes are copied with their imports
        os.environ['TRITON_INTERPRET'] = '1'
        importlib.import_module('benchmark_cases')

    def left() -> float:
        return args.seconds - (time.monotonic() - start)

    cases: dict[tuple, tuple] = {('machine',): ('Machine',)}
    for dtype in DTYPES:
        for shapes in plan.attention:
            cases['attention', dtype, shapes] = ('AttentionCase', shapes, dtype, device, True)
    for config, shape, dtype, compiled in plan.models():
        case = ('SegmenterCase', config, shape, device, dtype, compiled, True)
        cases[config, shape, dtype, compiled] = case
    workers: dict[tuple, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for key, case in cases.items():
                workers[key] = Worker(*case, fork=args.small)
            videos = {
                f'{height}x{width}': write_video(Path(folder), height, width, plan.video_frames)
                for height, width in plan.videos
            }
            report.add('preparation', list(prepare(workers, 0.45 * args.seconds)))
            for title, parts in gpu_parts(plan, workers, videos, device, left):
                rows = []
                for part in parts:
                    try:
                        rows += part()
                    except Exception as error:  # the other parts are still of interest
                        rows.append({FAILED: failure_text(error)})
                report.add(title, rows)
        finally:
            for worker in workers.values():
                worker.stop()
    report.add('duration', [{'s': time.monotonic() - start}])
    return report.exit_code()


def write_video(folder: Path, height: int, width: int, num_frames: int) -> str:
    """Write a folder of JPEG files of smooth noise that moves; return its path."""
    import cv2
    import numpy as np

    folder = folder / f'{height}x{width}'
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    image = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    for i in range(num_frames):
        cv2.imwrite(str(folder / f'{i:05d}.jpg'), np.roll(image, 2 * i, axis=1))
    return str(folder)


def prepare(workers: dict[tuple, Worker], seconds: float) -> Iterator[dict]:
    """Wait until all processes have compiled what they measure, at most some seconds.

    Yields:
        Rows of those that are not ready, which are ended, and of those that failed.
    """
    start = time.monotonic()
    for key, worker in workers.items():
        try:
            worker.result(max(0.0, seconds - (time.monotonic() - start)))
        except AxialVSError as error:
            yield {'process': ' '.join(map(str, key)), FAILED: failure_text(error)}
    yield {'process': f'all {len(workers)}', 's': time.monotonic() - start}


def gpu_parts(
    plan: GPUPlan,
    workers: dict[tuple, Worker],
    videos: dict[str, str],
    device: str,
    left: Callable[[], float],
) -> Iterator[tuple[str, list[Callable[[], list[dict]]]]]:
    """Yield titles and functions that return rows, the most important first."""
    rounds = 1 if plan.small else 3

    def ask(key: tuple, *question: object) -> Any:
        if left() <= 0:
            raise AxialVSError('no time left')
        return workers[key].ask(*question, timeout=left() if plan.small else min(60, left()))

    def row(key: tuple, *question: object, **more: object) -> list[dict]:
        config, _, dtype, compiled = key
        names = {'config': Path(config).stem, 'dtype': dtype, 'compiled': compiled}
        return [{**names, **more, **ask(key, *question)}]

    def compare(*keys: tuple) -> list[dict]:
        return compare_clips({key: partial(ask, key) for key in keys}, rounds)

    attention = [key for key in workers if key[0] == 'attention']
    yield 'machine', [partial(ask, ('machine',), 'describe', device)]
    title = 'trajectory attention: relative errors, compared with eager in float64'
    yield title, [partial(ask, key, 'agreement') for key in attention]
    for dtype in DTYPES:
        title = f'trajectory attention of a layer in {dtype}'
        yield title, [partial(ask, key, 'times', rounds) for key in attention if key[1] == dtype]
    title = 'what the within-clip module adds to Tube-Link'
    yield title, [partial(compare, *pair) for pair in plan.pairs()]
    models = [key for key in plan.models() if key[1] == plan.shapes[0]]
    title = f'clips of {"x".join(map(str, plan.shapes[0]))}'
    yield title, [partial(compare, key) for key in models if key[0] != plan.baseline]
    yield (
        'a training step, forward and backward',
        [
            partial(row, key, 'training', rounds)
            for key in models
            if key[2] != 'float16' and not key[3] and 'kmax' not in key[0]
        ],
    )
    yield (
        'videos, from files to masks of tracks',
        [
            partial(row, key, 'video', path, size=size)
            for key in models
            for size, path in videos.items()
            if key[2] == 'bfloat16' and key[0] != plan.baseline
        ],
    )
    for compiled in plan.compiled:
        title = f'longest operations, {"compiled" if compiled else "not compiled"}'
        key = (plan.within_clip, plan.shapes[0], 'bfloat16', compiled)
        yield title, [partial(ask, key, 'profile')]


def compare_clips(ask: Mapping[tuple, Callable], rounds: int, calls: int = 5) -> list[dict]:
    """Rows of time and memory of a clip, by config, shape, dtype and compilation.

    Args:
        ask: asks each case; all are asked in turns.
        rounds: number of turns.
        calls: timed calls of a turn.
    """
    seconds: dict[tuple, list[float]] = {key: [] for key in ask}
    for _ in range(rounds):
        for key, of_case in ask.items():
            seconds[key].append(statistics.median(of_case('seconds', calls)))
    rows: list[dict] = []
    for key, of_case in ask.items():
        config, shape, dtype, compiled = key
        row = {'config': Path(config).stem, 'clip': 'x'.join(map(str, shape)), 'dtype': dtype}
        row |= {'compiled': compiled, 'frames/s': shape[0] / statistics.median(seconds[key])}
        row |= {'ms': statistics.median(seconds[key]) * 1e3, **of_case('memory')}
        rows.append(row)
    if len(rows) > 1:
        first = rows[0]
        for row in rows:
            row['time, times the first'] = row['ms'] / first['ms']
            total, of_first = (x['forward, MiB'] + x['weights, MiB'] for x in (row, first))
            row['memory, times the first'] = total / of_first
    return rows


# Models and attention


def run_attention(args: argparse.Namespace) -> int:
    """Report time and memory of the forms of trajectory attention."""
    from benchmark_cases import AttentionCase, Machine

    report = Report('Trajectory attention of a layer', args.out)
    report.add('machine', Machine().describe(args.device))
    for dtype in args.dtypes:
        shapes = SMALL_ATTENTION_SHAPES if args.small else ATTENTION_SHAPES
        report.add(dtype, AttentionCase(shapes, dtype, args.device).times(args.rounds))
    return report.exit_code()


def run_model(args: argparse.Namespace) -> int:
    """Report work, time and memory of clips."""
    from benchmark_cases import Machine, SegmenterCase

    report = Report('Clips', args.out)
    report.add('machine', Machine().describe(args.device))
    rows = []
    for shape in [(t, *size) for size in args.sizes for t in args.frames]:
        cases, calls = {}, {}
        group = [{'config': Path(x).stem, 'clip': 'x'.join(map(str, shape))} for x in args.configs]
        for config, row in zip(args.configs, group, strict=True):
            row |= SegmenterCase(config, shape, 'meta').work()
            if not args.flops_only:
                key = (config, shape, args.dtype, args.compile)
                cases[key] = SegmenterCase(config, shape, *(args.device, *key[2:]), True)
                calls[key] = lambda method, *values, x=cases[key]: getattr(x, method)(*values)
        if cases:
            measured = compare_clips(calls, args.rounds, calls=1)
            group = [a | b for a, b in zip(group, measured, strict=True)]
            if not args.no_train:
                trained = [case.training(args.rounds) for case in cases.values()]
                group = [a | b for a, b in zip(group, trained, strict=True)]
        rows += group
    report.add('clips', rows)
    return report.exit_code()


# Videos and evaluation


def run_video(args: argparse.Namespace) -> int:
    """Report speed and memory of whole videos, each in a process of its own."""
    os.environ['MALLOC_MMAP_THRESHOLD_'] = '65536'  # return freed memory: the peak is what is used
    find_config(args.config)  # fails before any process starts
    report = Report('Whole videos', args.out)
    if args.against_mmdet:
        report.add('frames to tracks', against_mmdet(args))
        return report.exit_code()
    options = (args.cfg_options or {}, args.device, args.dtype)
    for protocol in args.protocols:
        rows: list[dict] = []
        for length in args.lengths:
            worker = Worker('VideoCase', args.config, args.checkpoint, *options)
            try:
                worker.result()
                row = worker.ask('run', args.video, args.size, length, args.mode, protocol)
            finally:
                worker.stop()
            if rows:
                row['peak, times the first'] = row['peak, MiB'] / rows[0]['peak, MiB']
                frames = max(1, row['frames'] - rows[-1]['frames'])
                row['growth, KiB a frame'] = (
                    (row['peak, MiB'] - rows[-1]['peak, MiB']) * 1024 / frames
                )
            rows.append(row)
        report.add(f'{args.mode}, {protocol}', rows)
    return report.exit_code()


def against_mmdet(args: argparse.Namespace) -> list[dict]:
    """Rows of mmdet's Mask2Former-VIS R50 and of ours, which alternate."""
    runs: dict[str | None, list[dict]] = {None: [], args.config: []}
    for _ in range(args.rounds):
        for config, results in runs.items():
            worker = Worker('ContenderCase', config, args.lengths[0], args.dtype)
            try:
                worker.result()
                results.append(worker.ask('seconds'))
            finally:
                worker.stop()
    rows = []
    for config, results in runs.items():
        best = min(results, key=lambda result: result['s'])
        row = {'network': Path(config).stem if config else "mmdet's Mask2Former-VIS R50"}
        row |= {f'{key} a frame': best[key] / args.lengths[0] for key in ('s', 'CPU s')}
        rows.append({**row, 'peak, GiB': best['peak, GiB'], 's': best['s']})
    rows[1]['time, times the first'] = rows[1]['s'] / rows[0]['s']
    return rows


def run_evaluation(args: argparse.Namespace) -> int:
    """Report the time of evaluation."""
    from benchmark_cases import evaluation_rows

    report = Report('Evaluation', args.out)
    title = f'{args.videos} videos of {args.frames} frames, {args.objects} objects in each'
    report.add(title, evaluation_rows(args))
    return report.exit_code()


# Command line


def parse_size(text: str) -> tuple[int, int]:
    """'384x640' -> (384, 640)."""
    height, _, width = text.partition('x')
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"'{text}' is not HxW, as in 384x640")
    return int(height), int(width)


def positive(text: str) -> int:
    """Type of an option that is a positive integer."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive integer")
    return int(text)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--out', type=output_file, metavar='OUT.md', help='and OUT.json')
    common.add_argument('--device', help='cpu, cuda ... (a GPU if there is one, else the CPU)')
    common.add_argument('--threads', type=positive, help='of the CPU')
    common.add_argument('--rounds', type=positive, default=3, help='timed calls of each (3)')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    model = commands.add_parser('model', parents=[common], help='work, time and memory of clips')
    model.set_defaults(run=run_model)
    model.add_argument('configs', nargs='+', metavar='CONFIG', help='one, or more to compare')
    model.add_argument('--frames', type=positive, nargs='+', default=[5], help='clip lengths (5)')
    model.add_argument('--sizes', type=parse_size, nargs='+', default=[(384, 640)], metavar='HxW')
    model.add_argument('--flops-only', action='store_true', help='count, without computing')
    model.add_argument('--no-train', action='store_true', help='no training step')
    model.add_argument('--dtype', choices=DTYPES, default='float32')
    model.add_argument('--compile', action='store_true', help='use torch.compile')

    attention = commands.add_parser('attention', parents=[common], help='trajectory attention')
    attention.set_defaults(run=run_attention)
    attention.add_argument('--dtypes', choices=DTYPES, nargs='+', default=['float32'])
    attention.add_argument('--small', action='store_true', help='tiny shapes')

    video = commands.add_parser('video', parents=[common], help='whole videos')
    video.set_defaults(run=run_video)
    video.add_argument('config', nargs='?', metavar='CONFIG', help='(R50; tiny for --lengths)')
    video.add_argument('--lengths', type=positive, nargs='+', help='frames (60 600 6000)')
    video.add_argument('--against-mmdet', action='store_true', help='20 frames, on the CPU')
    video.add_argument('--video', help='file or folder of frames (a generated stream)')
    video.add_argument('--size', type=parse_size, default=(96, 160), metavar='HxW', help='of it')
    video.add_argument('--checkpoint', help='weights (random)')
    video.add_argument('--mode', choices=('near-online', 'offline'), default='near-online')
    protocols = ('live', 'scored')
    video.add_argument('--protocols', nargs='+', choices=protocols, default=protocols)
    video.add_argument('--dtype', choices=DTYPES, default='float32')
    video.add_argument('--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE')

    evaluation = commands.add_parser('evaluation', parents=[common], help='AP, VPQ and STQ')
    evaluation.set_defaults(run=run_evaluation)
    evaluation.add_argument('--videos', type=positive, default=100)
    evaluation.add_argument('--frames', type=positive, default=24)
    evaluation.add_argument('--objects', type=positive, default=20, help='of a video')
    evaluation.add_argument('--size', type=parse_size, default=(360, 640), metavar='HxW')
    evaluation.add_argument('--workers', type=positive, help='processes of our evaluators')

    gpu = commands.add_parser('gpu', parents=[common], help='everything of interest on a GPU')
    gpu.set_defaults(run=run_gpu)
    gpu.add_argument('--small', action='store_true', help='tiny models and shapes, on a CPU')
    gpu.add_argument('--seconds', type=positive, default=460, help='limit of the whole run (460)')
    args = parser.parse_args()
    if args.run is run_video:
        args.lengths = args.lengths or ([20] if args.against_mmdet else [60, 600, 6000])
        args.config = args.config or (WITHIN_CLIP if args.against_mmdet else SMALL_WITHIN_CLIP)
    return args


def main() -> int:
    """Run a subcommand."""
    args = parse_args()
    if args.run is not run_gpu:
        import torch

        from axialvs.utils.env import find_device

        args.device = str(find_device(args.device))
        torch.set_num_threads(args.threads or torch.get_num_threads())
    return args.run(args)


if __name__ == '__main__':
    sys.exit(run_command(main))
