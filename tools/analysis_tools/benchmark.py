"""Measure time and memory of models, trajectory attention, whole videos and evaluation.

benchmark.py model CONFIG [CONFIG] --frames 2 5 --sizes 192x320 384x640
benchmark.py model CONFIG --flops-only --frames 2 --sizes 769x1345
benchmark.py model CONFIG --profile
benchmark.py attention
benchmark.py video [CONFIG] --lengths 60 600 6000
benchmark.py video [CONFIG] --against-mmdet
benchmark.py evaluation
benchmark.py gpu --out gpu.md

Weights and frames are random, because time and memory do not depend on them. Compared calls
alternate. A multiply-add counts as one operation.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from axialvs.utils.cli import add_config_options, run_command, script_parser
from axialvs.utils.config_files import find_config
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, write_atomically
from axialvs.utils.markdown import markdown_table

DTYPES = ('bfloat16', 'float16', 'float32')
ATTENTION_SHAPES = ((5, 23, 40), (2, 48, 84), (2, 97, 169), (24, 100))  # (T, H, W) or (K, Q)
WITHIN_CLIP = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021'
TINY = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'


class Report:
    """Print tables and write them to files, updated after each table.

    Args:
        out: Markdown file, or None; the rows are also written to a JSON file of the same name.
    """

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._rows: dict[str, list[dict]] = {}

    def add(self, title: str, rows: Sequence[dict]) -> None:
        """Add a table whose columns are the keys of the rows."""
        self._rows[title] = list(rows)
        print(_table(title, rows), flush=True)
        if self._out:
            tables = '\n'.join(_table(*item) for item in self._rows.items())
            write_atomically(self._out, tables.encode())
            write_atomically(self._out.with_suffix('.json'), json.dumps(self._rows).encode())


def _table(title: str, rows: Sequence[Mapping]) -> str:
    """Format a heading and a Markdown table."""
    cells = [{key: _cell(value) for key, value in row.items()} for row in rows]
    return f'## {title}\n\n{markdown_table(cells)}'


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value).replace('|', ' ')
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def run_apart(*arguments: object, timeout: float | None = None) -> dict[str, list[dict]]:
    """Run this tool in a subprocess and return its tables.

    This isolates memory measurements, and crashes do not affect other measurements.

    Raises:
        AxialVSError: if it failed, or did not finish in `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'tables.md'
        command = [sys.executable, __file__, *map(str, arguments), '--out', str(out)]
        try:
            subprocess.run(command, check=True, timeout=timeout, stdout=subprocess.DEVNULL)
        except subprocess.SubprocessError as error:
            reason = ' '.join(str(error).replace(str(command), 'the process').split())
            raise AxialVSError(f'benchmark.py {" ".join(command[2:-2])}: {reason}') from error
        return json.loads(out.with_suffix('.json').read_text())


def run_attention(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Yield time and memory of the implementations of trajectory attention."""
    from benchmark_cases import attention_row

    for dtype in args.dtypes:
        title = f'trajectory attention of a layer in {dtype}'
        cases = [(shape, backward) for shape in args.shapes for backward in (False, True)]
        yield title, [attention_row(*case, dtype, args.device, args.rounds) for case in cases]


def run_model(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Yield FLOPs, time and memory of clips, or the time of their operators."""
    from benchmark_cases import clip_rows, work_row

    for shape in [(t, *size) for size in args.sizes for t in args.frames]:
        if args.profile:
            from benchmark_profile import profile_rows

            for config in args.configs:
                title = f'operators of {Path(config).stem}, {"x".join(map(str, shape))}'
                yield title, profile_rows(args, config, shape)
            continue
        rows = [work_row(config, shape) for config in args.configs]
        if not args.flops_only:
            rows = [a | b for a, b in zip(rows, clip_rows(args, shape), strict=True)]
        yield f'clips of {"x".join(map(str, shape))}', rows


def run_video(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Yield speed and memory of whole videos, each in a separate process."""
    find_config(args.config)  # fails before any process starts
    if args.against_mmdet:
        yield 'frames to tracks', against_mmdet(args)
        return
    if len(args.lengths) == len(args.protocols) == 1:
        from benchmark_cases import video_row

        yield f'{args.mode}, {args.protocols[0]}', [video_row(args)]
        return
    for protocol in args.protocols:
        rows: list[dict] = []
        for length in args.lengths:
            one = ['--lengths', length, '--protocols', protocol]
            *_, (title, (row,)) = run_apart(*sys.argv[1:], *one).items()
            if rows:
                more = row['peak, MiB'] - rows[-1]['peak, MiB']
                frames = max(1, row['frames'] - rows[-1]['frames'])
                row['peak, times the first'] = row['peak, MiB'] / rows[0]['peak, MiB']
                row['growth, KiB a frame'] = more * 1024 / frames
            rows.append(row)
        yield title, rows


def against_mmdet(args: argparse.Namespace) -> list[dict]:
    """Measure mmdet's Mask2Former-VIS R50 and ours, alternately."""
    networks: dict[str, list[dict]] = {'mmdet': [], args.config: []}
    options = ['--frames', args.lengths[0], '--dtype', args.dtype]
    options += ['--threads', args.threads] if args.threads else []
    for _ in range(args.rounds):
        for network, results in networks.items():
            (row,) = run_apart('network', network, *options)['network']
            results.append(row)
    rows = [min(results, key=lambda row: row['s']) for results in networks.values()]
    rows[1]['time, times the first'] = rows[1]['s'] / rows[0]['s']
    return rows


def run_network(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Yield the time and memory of one of the models of `against_mmdet`."""
    from benchmark_cases import network_row

    yield 'network', [network_row(args)]


def run_evaluation(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Yield the time of evaluation."""
    from benchmark_evaluation import evaluation_rows

    title = f'{args.videos} videos of {args.frames} frames, {args.objects} objects in each'
    yield title, evaluation_rows(args)


def gpu_commands(small: bool) -> list[str]:
    """List the commands that `gpu` runs, the most important first."""
    if small:
        plain = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes'
        return [
            'attention --shapes 2x3x4 3x5',
            f'model {plain} {TINY} --frames 3 --sizes 96x160 --dtype bfloat16',
            f'video {TINY} --lengths 6 --protocols live --score-thr 0',
            f'model {TINY} --frames 3 --sizes 96x160 --profile',
        ]
    pair = f'tube_link/tube-link_r50_8xb1-15k_youtubevis2021 {WITHIN_CLIP}'
    swin_l = 'axialvs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021'
    kmax = 'axialvs/axialvs-wc-kmax_r50_16xb2-40k_vipseg'
    commands = ['attention --dtypes ' + ' '.join(DTYPES)]
    for options in ('--dtype bfloat16', '--dtype bfloat16 --compile'):
        commands += [
            f'model {pair} --frames 4 --sizes 384x640 {options}',
            f'model {pair} --frames 2 --sizes 800x1376 {options}',  # the paper's size, padded
            f'model {swin_l} {kmax} --frames 4 --sizes 384x640 --no-train {options}',
        ]
        commands += [
            f'video {config} --size {size} --lengths 120 --protocols live {options}'
            for config in (WITHIN_CLIP, swin_l, kmax)
            for size in ('360x640', '720x1280')
        ]
    half = '--frames 4 --sizes 384x640 --no-train --dtype float16'
    commands += [f'model {WITHIN_CLIP} {half}', f'model {WITHIN_CLIP} {half} --compile']
    return [*commands, f'model {WITHIN_CLIP} --frames 4 --sizes 384x640 --dtype bfloat16 --profile']


def run_gpu(args: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Yield the tables of `gpu_commands`; failed or skipped commands are listed in the last one."""
    end = time.monotonic() + args.seconds
    device = args.device or ('cpu' if args.small else 'cuda')
    failed = []
    for command in gpu_commands(args.small):
        try:
            left = end - time.monotonic()
            if left <= 0:
                raise AxialVSError('no time left')
            for name, rows in run_apart(*command.split(), '--device', device, timeout=left).items():
                yield f'{command}: {name}', rows
        except AxialVSError as error:
            failed.append({'command': command, 'failed': str(error)})
    if failed:
        yield 'failed', failed
        raise AxialVSError(f'{len(failed)} commands failed, see the last table')


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse '384x640' as (384, 640)."""
    numbers = text.split('x')
    if not all(x.isdecimal() and int(x) for x in numbers) or len(numbers) not in (2, 3):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 384x640")
    return tuple(map(int, numbers))


def positive(text: str) -> int:
    """Parse a positive integer."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive integer")
    return int(text)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = script_parser(__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--out', type=output_file, metavar='OUT.md', help='and OUT.json')
    common.add_argument('--device', help='cpu, cuda ... (a GPU if there is one, else the CPU)')
    common.add_argument('--threads', type=positive, help='of the CPU')
    common.add_argument('--rounds', type=positive, default=3, help='timed calls of each (3)')
    network = argparse.ArgumentParser(add_help=False, parents=[common])
    network.add_argument('--dtype', choices=DTYPES, default='float32')
    network.add_argument('--compile', action='store_true', help='use torch.compile')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    def add(name: str, run: Any, parent: argparse.ArgumentParser, text: str) -> Any:
        command = commands.add_parser(name, parents=[parent], help=text)
        command.set_defaults(run=run)
        return command

    model = add('model', run_model, network, 'FLOPs, time and memory of clips')
    model.add_argument('configs', nargs='+', metavar='CONFIG', help='one, or more to compare')
    model.add_argument('--frames', type=positive, nargs='+', default=[5], help='clip lengths (5)')
    model.add_argument('--sizes', type=parse_shape, nargs='+', default=[(384, 640)], metavar='HxW')
    model.add_argument('--flops-only', action='store_true', help='count, without computing')
    model.add_argument('--profile', action='store_true', help='time of the operators of a clip')
    model.add_argument('--no-train', action='store_true', help='no training step')

    attention = add('attention', run_attention, common, 'trajectory attention')
    attention.add_argument('--dtypes', choices=DTYPES, nargs='+', default=['float32'])
    attention.add_argument(
        '--shapes', type=parse_shape, nargs='+', default=ATTENTION_SHAPES, metavar='TxHxW|KxQ'
    )

    video = add('video', run_video, network, 'whole videos')
    video.add_argument('config', nargs='?', metavar='CONFIG', help='(R50; tiny for --lengths)')
    video.add_argument('--lengths', type=positive, nargs='+', help='frames (60 600 6000)')
    video.add_argument('--against-mmdet', action='store_true', help='20 frames, on the CPU')
    video.add_argument('--video', help='file or folder of frames (a generated stream)')
    video.add_argument('--size', type=parse_shape, default=(96, 160), metavar='HxW', help='of it')
    video.add_argument('--checkpoint', help='weights (random)')
    video.add_argument('--mode', choices=('near-online', 'offline'), default='near-online')
    protocols = ('live', 'scored')
    video.add_argument('--protocols', nargs='+', choices=protocols, default=protocols)
    video.add_argument('--score-thr', type=float, help='as of segment_video.py')
    add_config_options(video)

    one = add('network', run_network, network, 'one of the models of video --against-mmdet')
    one.add_argument('config', metavar='CONFIG', help="'mmdet' for its Mask2Former-VIS R50")
    one.add_argument('--frames', type=positive, default=20)

    evaluation = add('evaluation', run_evaluation, common, 'AP, VPQ and STQ')
    evaluation.add_argument('--videos', type=positive, default=100)
    evaluation.add_argument('--frames', type=positive, default=24)
    evaluation.add_argument('--objects', type=positive, default=20, help='of a video')
    evaluation.add_argument('--size', type=parse_shape, default=(360, 640), metavar='HxW')
    evaluation.add_argument('--workers', type=positive, help='processes for our evaluators')

    gpu = add('gpu', run_gpu, common, 'all measurements for a GPU')
    gpu.add_argument('--small', action='store_true', help='tiny models and shapes, on a CPU')
    gpu.add_argument('--seconds', type=positive, default=540, help='limit of the whole run (540)')
    args = parser.parse_args()
    if args.run is run_video:
        args.lengths = args.lengths or ([20] if args.against_mmdet else [60, 600, 6000])
        args.config = args.config or (WITHIN_CLIP if args.against_mmdet else TINY)
    return args


def main() -> None:
    """Run a subcommand."""
    args = parse_args()
    report = Report(args.out)
    if args.run is not run_gpu:
        from benchmark_cases import set_up

        report.add('machine', set_up(args))
    for title, rows in args.run(args):
        report.add(title, rows)


if __name__ == '__main__':
    sys.exit(run_command(main))
