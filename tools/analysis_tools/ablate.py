"""Run the paper's ablations at a small scale, or count the operations of its networks.

ablate.py 4 --max-iters 600 --seeds 0 1 2 --out table4.md   train tiny models on generated data
ablate.py 5 --write configs/mine                            write configs for VIPSeg, with R50
ablate.py 4 --gflops                                        GFLOPs beside the paper's

A run that is stopped is resumed by the same command; finished trainings are not repeated.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from ablation_rows import BASES, TABLES, Row, changes_of

from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_config, find_tool
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically
from axialvs.utils.markdown import markdown_table

DATA_ROOT = 'data/moving_shapes/panoptic/'
METRIC = 'vpq'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('table', choices=TABLES, help='table of the paper')
    parser.add_argument('--rows', nargs='+', metavar='NAME', help='some rows only')
    parser.add_argument('--max-iters', type=int, default=600, help='iterations of a training')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--data-root', default=DATA_ROOT, help='generated data, level panoptic')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablations'))
    parser.add_argument('--out', type=Path, help='Markdown file of the table')
    other = parser.add_mutually_exclusive_group()
    other.add_argument('--write', type=Path, metavar='FOLDER', help='only write VIPSeg configs')
    other.add_argument('--gflops', action='store_true', help='only count operations, on VIPSeg')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='passed to train.py'
    )
    return parser.parse_args()


def main() -> None:
    """Run a table."""
    args = parse_args()
    rows = [row for row in TABLES[args.table] if not args.rows or row.name in args.rows]
    if unknown := set(args.rows or ()) - {row.name for row in rows}:
        names = ', '.join(repr(row.name) for row in TABLES[args.table])
        raise AxialVSError(f'table {args.table} has no row {sorted(unknown)}; it has {names}')
    if args.write:
        for row in rows:
            print(write_config(row, 'vipseg', args.write))
        return
    folder = args.work_dir / f'table{args.table}'
    results = []
    for row in rows:
        result: dict[str, Any] = {'row': row.name, 'VPQ, paper': row.vpq or 'out of memory'}
        if args.gflops:
            result |= gflops(row, write_config(row, 'vipseg', folder / 'vipseg'))
        else:
            result |= train_row(row, folder, args)
        results.append(result)
        table = markdown_table(results)
        if args.out:
            write_atomically(args.out, table.encode())
    print(table)


def slug(name: str) -> str:
    """A file name for a row."""
    return re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')


def write_config(
    row: Row, scale: str, folder: Path, settings: dict[str, Any] | None = None
) -> Path:
    """Write a row as a config with a base of the project.

    Args:
        row: the row.
        scale: 'vipseg' or 'tiny'.
        folder: of the file.
        settings: further top-level settings.
    """
    base = find_config(BASES[scale][row.method]).resolve()
    nested: dict[str, Any] = dict(settings or {})
    for key, value in changes_of(row, scale).items():
        *parents, last = key.split('.')
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    lines = [f'# {row.name} (VPQ in the paper: {row.vpq}).', f'_base_ = {str(base)!r}']
    lines += [f'{name} = {value!r}' for name, value in nested.items()]
    path = folder / f'{slug(row.name)}.py'
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, ('\n'.join(lines) + '\n').encode())
    return path


def short_schedule(row: Row, max_iters: int, data_root: str) -> dict[str, Any]:
    """Settings that train a tiny model for `max_iters` iterations on the data."""
    from mmengine import Config

    config = Config.fromfile(find_config(BASES['tiny'][row.method]))
    factor = max_iters / config.train_cfg.max_iters
    schedulers = [dict(x, end=max(2, round(x.end * factor))) for x in config.param_scheduler]
    folder = Path(data_root) / 'valid'
    files = dict(ann_file=str(folder / 'panoptic.json'), mask_prefix=str(folder / 'panomasksRGB'))
    settings: dict[str, Any] = dict(
        train_cfg=dict(max_iters=max_iters, val_interval=max_iters),
        param_scheduler=schedulers,
        default_hooks=dict(checkpoint=dict(interval=max(1, max_iters // 4), max_keep_ckpts=1)),
        val_evaluator=dict(files),
        test_evaluator=dict(files),
    )
    for part in ('train', 'val', 'test'):
        settings[f'{part}_dataloader'] = dict(dataset=dict(data_root=data_root))
    return settings


def train_row(row: Row, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Train a row with all seeds: mean and spread of the score, work and memory."""
    settings = short_schedule(row, args.max_iters, args.data_root)
    config = write_config(row, 'tiny', folder, settings)
    runs = [
        train(config, folder / f'{config.stem}_{args.max_iters}_seed{seed}', seed, args.cfg_options)
        for seed in args.seeds
    ]
    scores = [run[METRIC] for run in runs]
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    return {
        'VPQ': f'{statistics.mean(scores):.2f} ± {spread:.2f}',
        'seeds': ', '.join(f'{score:.2f}' for score in scores),
        'GFLOPs': f'{clip_gflops(config):.3f}',
        'peak, MiB': max(run['MiB'] for run in runs),
    }


def train(config: Path, work_dir: Path, seed: int, options: list[str]) -> dict[str, float]:
    """Train with a seed, or return what an earlier run of this command found.

    Raises:
        AxialVSError: if the training fails.
    """
    from axialvs.engine.run_log import read_run

    found = work_dir / 'ablation.json'
    if found.is_file():
        return json.loads(found.read_text())
    command = [sys.executable, find_tool('train.py'), config, '--work-dir', work_dir, '--resume']
    command += ['--seed', seed, *(['--cfg-options', *options] if options else [])]
    process = subprocess.Popen([str(x) for x in command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AxialVSError(f'{work_dir}: the training ended with code {process.returncode}')
    log = read_run(work_dir)
    name = log.find(METRIC)
    if name is None:
        raise AxialVSError(f'{work_dir}: the log has no {METRIC}')
    result = {METRIC: float(log.curves[name].values[-1]), 'MiB': usage.ru_maxrss // 1024}
    write_atomically(found, json.dumps(result).encode())
    return result


def clip_gflops(config: Path) -> float:
    """GFLOPs, as papers define them, of a clip of the config's length and padded size."""
    from benchmark_cases import work_row
    from mmengine import Config

    model = Config.fromfile(config).model
    shape = (model.clip_length, *model.data_preprocessor.pad_size)
    return work_row(str(config), shape)['GFLOPs, as defined']


def gflops(row: Row, config: Path) -> dict[str, Any]:
    """Count a VIPSeg row at the paper's size and compare."""
    result: dict[str, Any] = {}
    if row.method == 'offline':
        ours, with_masks = cross_clip_gflops(config)
        result |= {'GFLOPs': f'{ours:.1f}', 'with predictions': f'{with_masks:.1f}'}
    else:
        ours = clip_gflops(config)
        result['GFLOPs'] = f'{ours:.1f}'
    if row.gflops:
        result |= {'paper': row.gflops, 'difference': f'{100 * (ours / row.gflops - 1):+.1f} %'}
    return result


def cross_clip_gflops(config: Path, num_frames: int = 24) -> tuple[float, float]:
    """GFLOPs of the cross-clip module for a video, alone and with its predictions."""
    import torch
    from benchmark_cases import count_gflops

    from axialvs.apis import init_segmenter

    model = init_segmenter(str(config), device='meta').requires_grad_(False)
    head = model.panoptic_head
    num_clips, channels = num_frames // model.clip_length, head.cross_clip.clip_weight.in_features
    sides = [-(-side // 4) for side in model.data_preprocessor.pad_size]  # of mask features
    queries = torch.empty(1, num_clips, len(head.cluster_centers.T), channels, device='meta')

    def predict() -> None:
        refined = head.cross_clip(queries)[-1]
        features = head.video_class_features(refined)
        head.predict_video_classes(head.cross_clip.pool_clips(features))
        for embeddings in head.embed_video_masks(refined).unbind(1):
            features = (1, model.clip_length, embeddings.shape[-1], *sides)
            head.predict_video_masks(embeddings, torch.empty(features, device='meta'))

    alone = count_gflops(lambda: head.cross_clip(queries), as_defined=True)
    return alone, count_gflops(predict, as_defined=True)


if __name__ == '__main__':
    sys.exit(run_command(main))
