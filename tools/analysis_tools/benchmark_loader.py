"""How fast a loader worker makes training clips: benchmark_loader.py CONFIG --clip-lengths 2 4 8 16

Runs the config's whole training pipeline in this one process, as a worker does, and decodes the
image files of the same clips alone. The cost of a frame must not grow with the frames of a clip.
Lengths take turns, so that a machine that slows down slows all of them.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from statistics import median
from time import perf_counter
from typing import NamedTuple

import cv2
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ConcatDataset
from tqdm import tqdm

import axialvs.register  # noqa: F401 - registers the parts of the package
from axialvs.data_tools.from_config import training_data
from axialvs.datasets.seeding import SampleIndex
from axialvs.utils.cli import ConfigOptions, run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, write_atomically

HEAD = '| T | clips / s | ms a frame | decoding alone, ms a frame | pipeline / decoding |\n' + (
    '|---|---|---|---|---|'
)


class Cost(NamedTuple):
    """Seconds that one clip took."""

    pipeline: float
    decoding: float


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('--clip-lengths', type=int, nargs='+', default=[2, 4, 8, 16], metavar='T')
    parser.add_argument('--clips', type=int, default=40, help='of each length (default: 40)')
    parser.add_argument(
        '--out', type=output_file, metavar='FILE.md', help='where the table goes as well'
    )
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> None:
    """Measures, prints the table and writes it."""
    args = parse_args()
    if args.clips < 1 or min(args.clip_lengths) < 1:
        raise AxialVSError('--clips and --clip-lengths: whole numbers of 1 or more are needed.')
    cv2.setNumThreads(0)  # as in a worker of mmengine
    data = [
        training_data(args.config, {**(args.cfg_options or {}), **options_of(args, length)})
        for length in args.clip_lengths
    ]
    streams = [list(islice(sampler, args.clips + 1)) for _, sampler in data]
    costs: list[list[Cost]] = [[] for _ in data]
    for turn in tqdm(range(args.clips + 1), unit='round'):
        for (dataset, _), indices, known in zip(data, streams, costs, strict=True):
            cost = measure(dataset, indices[turn])
            if turn:  # the first one warms up
                known.append(cost)
    lines = [row(length, known) for length, known in zip(args.clip_lengths, costs, strict=True)]
    table = '\n'.join([HEAD, *lines])
    print(table)
    if args.out:
        write_atomically(args.out, (table + '\n').encode())


def options_of(args: argparse.Namespace, length: int) -> dict[str, int]:
    """The settings that give clips of another length."""
    dataset = Config.fromfile(find_config(args.config)).train_dataloader.dataset
    parts = len(dataset.get('datasets', ()))
    places = [f'datasets.{part}.' for part in range(parts)] or ['']
    return {f'train_dataloader.dataset.{place}clip_length': length for place in places}


def measure(dataset: BaseDataset | ConcatDataset, index: SampleIndex) -> Cost:
    """Makes one clip, then decodes the files that it was made of."""
    start = perf_counter()
    sample = dataset[index]
    pipeline = perf_counter() - start
    paths = [frame.metainfo['img_path'] for frame in sample['data_samples']]
    return Cost(pipeline, decode(paths))


def decode(paths: Sequence[str]) -> float:
    """Seconds for reading and decoding so many image files, each as often as it stands there."""
    start = perf_counter()
    for path in paths:
        if cv2.imread(path) is None:
            raise AxialVSError(f'{path}: not a readable image.')
    return perf_counter() - start


def row(length: int, costs: Sequence[Cost]) -> str:
    """One line of the table, from the medians over clips."""
    pipeline = median(cost.pipeline for cost in costs)
    decoding = median(cost.decoding for cost in costs)
    return (
        f'| {length} | {1 / pipeline:.1f} | {1e3 * pipeline / length:.2f} '
        f'| {1e3 * decoding / length:.2f} | {pipeline / decoding:.1f} |'
    )


if __name__ == '__main__':
    sys.exit(run_command(main))
