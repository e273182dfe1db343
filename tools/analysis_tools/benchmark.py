"""Measures work, time and memory of models and of their attention: benchmark.py --help.

python tools/analysis_tools/benchmark.py CONFIG [CONFIG] --frames 2 5 --sizes 384x640
python tools/analysis_tools/benchmark.py --suite attention
python tools/analysis_tools/benchmark.py --suite gpu

Weights and frames are random: time does not depend on them. Two configs are timed in turns.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

# Its notices would stand between the rows.
os.environ.setdefault('KINETO_LOG_LEVEL', '99')

import torch

from axialvs.apis import init_segmenter
from axialvs.cli import run_command
from axialvs.config_files import find_config
from axialvs.profiling.attention_suite import SHAPES, SMALL_SHAPES, attention_suite
from axialvs.profiling.gpu_suite import gpu_suite
from axialvs.profiling.model_costs import clip_costs
from axialvs.profiling.timing import median_ratio, time_in_turns


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', help='one config, or two to compare')
    parser.add_argument('--suite', choices=('attention', 'gpu'), help='a fixed set instead')
    parser.add_argument('--frames', type=int, nargs='+', default=[5], help='clip lengths T')
    parser.add_argument('--sizes', nargs='+', default=['384x640'], metavar='HxW')
    parser.add_argument(
        '--lengths', type=int, nargs='*', default=[], help='lengths of videos, in frames'
    )
    parser.add_argument('--rounds', type=int, default=3, help='timed calls of each')
    parser.add_argument('--no-train', action='store_true', help='leave out the training step')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--small', action='store_true', help='tiny shapes, to try a suite')
    parser.add_argument('--json', type=Path, help='also write the rows to this file')
    args = parser.parse_args()
    if bool(args.suite) == bool(args.configs) or len(args.configs) > 2:
        parser.error('give one config, two configs, or --suite')
    return args


def main() -> None:
    """Measures and prints Markdown tables."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    print(f'device {args.device}, {args.threads} threads, torch {torch.__version__}')
    if args.suite == 'attention':
        shapes = SMALL_SHAPES if args.small else SHAPES
        tables = {
            'attention': list(attention_suite(shapes, device=args.device, rounds=args.rounds))
        }
    elif args.suite == 'gpu':
        tables = gpu_suite(args.device, args.small, args.rounds)
    else:
        tables = compare(args)
    for title, rows in tables.items():
        print(f'\n{title}\n\n{markdown(rows)}')
    if args.json:
        args.json.write_text(json.dumps(tables, indent=2) + '\n')


def compare(args: argparse.Namespace) -> dict[str, list[dict]]:
    """Costs of every config at every clip length and size, and frames a second in turns."""
    models = [init_segmenter(find_config(config), device=args.device) for config in args.configs]
    names = [Path(config).stem for config in args.configs]
    clips, videos = [], []
    for height, width in map(parse_size, args.sizes):
        for length in args.frames:
            frames = torch.randn(length, 3, height, width, device=args.device)
            rows = [clip_costs(x, length, height, width, not args.no_train) for x in models]
            add_speed(rows, [model.predict_clip for model in models], frames, args)
            clips += [{'config': name, **row} for name, row in zip(names, rows, strict=True)]
        for length in args.lengths:
            frames = torch.randn(length, 3, height, width, device=args.device)
            rows = [{'video_frames': length, 'size': f'{height}x{width}'} for _ in models]
            add_speed(rows, [model.predict_video for model in models], frames, args)
            videos += [{'config': name, **row} for name, row in zip(names, rows, strict=True)]
    return {'clips': clips, **({'videos': videos} if videos else {})}


def add_speed(
    rows: list[dict], calls: list, frames: torch.Tensor, args: argparse.Namespace
) -> None:
    """Adds frames a second to each row and, to the second, its time over the first's."""
    runs = {str(i): lambda call=call: call(frames) for i, call in enumerate(calls)}
    seconds = list(time_in_turns(runs, args.rounds, device=args.device).values())
    for row, times in zip(rows, seconds, strict=True):
        row['frames_a_second'] = len(frames) / statistics.median(times)
        row['time_ratio'] = median_ratio(times, seconds[0])


def parse_size(text: str) -> tuple[int, int]:
    """'384x640' -> (384, 640)."""
    height, separator, width = text.partition('x')
    if not (separator and height.isdigit() and width.isdigit()):
        raise ValueError(f"size is '{text}': it reads HxW, as in 384x640")
    return int(height), int(width)


def markdown(rows: list[dict]) -> str:
    """A table with one line for each row."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [' | '.join(columns), ' | '.join(['---'] * len(columns))]
    for row in rows:
        cells = (row.get(key, '') for key in columns)
        lines.append(' | '.join(f'{x:.2f}' if isinstance(x, float) else str(x) for x in cells))
    return '\n'.join(f'| {line} |' for line in lines)


if __name__ == '__main__':
    sys.exit(run_command(main))
