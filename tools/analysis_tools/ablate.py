"""Run the paper's ablations and studies at a small scale, or count operations of networks.

ablate.py 4 --max-iters 600 --seeds 0 1 2 --out table4.md   train tiny models on generated data
ablate.py hard --max-iters 1000 --out hard.md               the same for a study
ablate.py 5 --write configs/mine                            write configs for VIPSeg, with R50
ablate.py 4 --gflops                                        GFLOPs and the paper's

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

from ablation_rows import BASES, SCALES, STUDIES, TABLES, Row, changes_of

from axialvs.utils.cli import run_command, script_parser
from axialvs.utils.config_files import find_config, find_tool
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import write_atomically
from axialvs.utils.markdown import markdown_table

# Columns and the scores that they show.
PANOPTIC = {'VPQ': 'vpq', 'things': 'vpq_thing', 'stuff': 'vpq_stuff'}
INSTANCES = {'AP': 'AP', 'HOTA': 'HOTA', 'IDF1': 'IDF1', 'switches / 1000 frames': 'switches'}
MIN_SCORE = 0.3  # of tracks that count for HOTA, IDF1 and identity switches


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('table', choices=[*TABLES, *STUDIES], help='of the paper, or a study')
    parser.add_argument('--rows', nargs='+', metavar='NAME', help='some rows only')
    parser.add_argument('--max-iters', type=int, default=600, help='iterations of a training')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--data-root', help="generated data (the configs')")
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
    table = (TABLES | STUDIES)[args.table]
    rows = [row for row in table if not args.rows or row.name in args.rows]
    if unknown := set(args.rows or ()) - {row.name for row in rows}:
        names = ', '.join(repr(row.name) for row in table)
        raise AxialVSError(f'table {args.table} has no row {sorted(unknown)}; it has {names}')
    if args.table in STUDIES and (args.write or args.gflops):
        raise AxialVSError(f'{args.table} is a study on generated data; it has no VIPSeg configs')
    if args.write:
        for row in rows:
            print(write_config(row, 'vipseg', args.write))
        return
    folder = args.work_dir / (f'table{args.table}' if args.table in TABLES else args.table)
    results = []
    for row in rows:
        result: dict[str, Any] = {'row': row.name}
        if args.table in TABLES:
            result['VPQ, paper'] = row.vpq or 'out of memory'
        if args.gflops:
            result |= compared_gflops(row, write_config(row, 'vipseg', folder / 'vipseg'))
        else:
            result |= run_row(row, folder, args)
        results.append(result)
        text = markdown_table(results)
        if args.out:
            write_atomically(args.out, text.encode())
    print(text)


def slug(name: str) -> str:
    """A file name for a row."""
    return re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')


def write_config(
    row: Row, scale: str, folder: Path, settings: dict[str, Any] | None = None
) -> Path:
    """Write a row as a config with a base of the project.

    Args:
        row: the row.
        scale: a key of `BASES`.
        folder: of the file.
        settings: further top-level settings.
    """
    base = find_config(BASES[scale][row.method]).resolve()
    nested: dict[str, Any] = dict(settings or {})
    for key, value in changes_of(row, scale).items():
        *parents, last = key.split('.')
        node = nested
        if nested.get(key.partition('.')[0], {}) is None:
            continue  # of a part that the run does without
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    paper = f' (VPQ in the paper: {row.vpq})' if scale == 'vipseg' else ''
    lines = [f'# {row.name}{paper}.', f'_base_ = {str(base)!r}']
    lines += [f'{name} = {value!r}' for name, value in nested.items()]
    path = folder / f'{slug(row.name)}.py'
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, ('\n'.join(lines) + '\n').encode())
    return path


def short_schedule(base: Path, max_iters: int, data_root: str | None) -> dict[str, Any]:
    """Settings that train a config for `max_iters` iterations, on other data if given."""
    from mmengine import Config

    config = Config.fromfile(base)
    factor = max_iters / config.train_cfg.max_iters
    schedulers = [
        dict(x, begin=round(x.get('begin', 0) * factor), end=max(2, round(x.end * factor)))
        for x in config.param_scheduler
    ]
    settings: dict[str, Any] = dict(
        train_cfg=dict(max_iters=max_iters),
        param_scheduler=schedulers,
        default_hooks=dict(checkpoint=dict(interval=max(1, max_iters // 4), max_keep_ckpts=1)),
        val_cfg=None,  # `test.py` scores the result
        val_dataloader=None,
        val_evaluator=None,
    )
    if data_root is not None:
        data_root = os.path.join(data_root, '')  # prepended to paths without a separator
        for part in ('train', 'test'):
            settings[f'{part}_dataloader'] = dict(dataset=dict(data_root=data_root))
        settings['test_evaluator'] = {
            key: value.replace(config.data_root, data_root)
            for key, value in config.test_evaluator.items()
            if isinstance(value, str)
        }
    return settings


def run_row(row: Row, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate a row with all seeds: scores, operations and memory."""
    scale = SCALES.get(args.table, 'tiny')
    max_iters = round(row.share * args.max_iters)
    base = find_config(BASES[scale][row.method])
    settings = short_schedule(base, max(1, max_iters), args.data_root)
    config = write_config(row, scale, folder, settings)
    columns = PANOPTIC if scale == 'tiny' else INSTANCES
    runs = []
    for seed in args.seeds:
        suffix = f'_{args.max_iters}_seed{seed}'
        work_dir = folder / (config.stem + suffix)
        start = row.start and find_checkpoint(folder / (slug(row.start) + suffix))
        runs.append(
            run(config, work_dir, seed, start, max_iters, args.cfg_options, columns is INSTANCES)
        )
    result: dict[str, Any] = {}
    for column, name in columns.items():
        scores = [run[name] for run in runs]
        digits = 3 if column in {'AP', 'HOTA', 'IDF1'} else 2  # those are fractions
        result[column] = f'{statistics.mean(scores):.{digits}f}'
        if len(scores) > 1:
            result[column] += f' ± {statistics.stdev(scores):.{digits}f}'
            result.setdefault('seeds', ', '.join(f'{score:.{digits}f}' for score in scores))
    if scale == 'tiny':
        result['GFLOPs'] = f'{row_gflops(row, config)[0]:.3f}'
    return result | {'peak, MiB': max(run['MiB'] for run in runs) or '-'}


def find_checkpoint(work_dir: Path) -> Path:
    """The last checkpoint of a training.

    Raises:
        AxialVSError: if there is none.
    """
    pointer = work_dir / 'last_checkpoint'
    if not pointer.is_file():
        raise AxialVSError(f'{work_dir} has no training; run the row that this one starts from')
    return Path(pointer.read_text())


def run(
    config: Path,
    work_dir: Path,
    seed: int,
    start: Path | None,
    max_iters: int,
    options: list[str],
    with_tracks: bool,
) -> dict[str, float]:
    """Train with a seed and evaluate, or return what an earlier run of this command found.

    Args:
        config: of the row.
        work_dir: of the run.
        seed: of the training.
        start: checkpoint to start from.
        max_iters: 0 evaluates `start`.
        options: `--cfg-options` of both.
        with_tracks: also evaluate identities.

    Returns:
        The scores, and `MiB`, the peak memory of the training.

    Raises:
        AxialVSError: if a process fails.
    """
    found = work_dir / 'ablation.json'
    if found.is_file():
        return json.loads(found.read_text())
    memory = 0
    if max_iters:
        command = [config, '--work-dir', work_dir, '--resume', '--seed', seed]
        memory = call('train.py', command, [*options, *([f'load_from={start}'] if start else [])])
        start = find_checkpoint(work_dir)
    scores, results = work_dir / 'scores.json', work_dir / 'results.json'
    results.unlink(missing_ok=True)  # of a test that was stopped
    command = [config, start, '--work-dir', work_dir, '--out', scores]
    if with_tracks:
        options = [*options, f'test_evaluator.outfile_prefix={results.with_suffix("")}']
    call('test.py', command, options)
    metrics = json.loads(scores.read_text())
    result = {name.split('/')[-1]: value for name, value in metrics.items()}
    if with_tracks:
        result |= tracking_scores(config, results)
    result['MiB'] = memory
    write_atomically(found, json.dumps(result).encode())
    return result


def call(tool: str, arguments: list[Any], options: list[str]) -> int:
    """Run a tool and return its peak memory in MiB.

    Raises:
        AxialVSError: if it fails.
    """
    command = [sys.executable, find_tool(tool), *arguments]
    command += ['--cfg-options', *options] if options else []
    process = subprocess.Popen([str(x) for x in command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AxialVSError(f'{arguments[0]}: {tool} ended with code {process.returncode}')
    return usage.ru_maxrss // 1024


def tracking_scores(config: Path, results: Path) -> dict[str, float]:
    """HOTA, IDF1 and identity switches per 1000 frames, of tracks of at least `MIN_SCORE`."""
    from mmengine import Config

    from axialvs.datasets.annotations.youtube_vis import read_annotations
    from axialvs.evaluation.id_switches import count_id_switches
    from axialvs.evaluation.results import read_results
    from axialvs.evaluation.tracking import evaluate_tracking

    annotations = read_annotations(Config.fromfile(config).test_evaluator.ann_file)
    tracks = [x for x in read_results(results, annotations) if x.score >= MIN_SCORE]
    switches = count_id_switches(annotations, tracks)
    rate = 1000 * switches.total / max(1, switches.followed)
    return {**evaluate_tracking(annotations, tracks).summary(), 'switches': rate}


def clip_gflops(config: Path) -> float:
    """GFLOPs, as papers define them, of a clip of the config's length and padded size."""
    from benchmark_cases import work_row
    from mmengine import Config

    model = Config.fromfile(config).model
    shape = (model.clip_length, *model.data_preprocessor.pad_size)
    return work_row(str(config), shape)['GFLOPs, as defined']


def row_gflops(row: Row, config: Path) -> tuple[float, ...]:
    """GFLOPs of a clip; of an offline row, those of `cross_clip_gflops`."""
    return cross_clip_gflops(config) if row.method == 'offline' else (clip_gflops(config),)


def compared_gflops(row: Row, config: Path) -> dict[str, Any]:
    """Count a VIPSeg row at the paper's size and compare."""
    counts = row_gflops(row, config)
    columns = zip(('GFLOPs', 'with predictions'), counts, strict=False)
    result: dict[str, Any] = {column: f'{count:.1f}' for column, count in columns}
    if row.gflops:
        difference = 100 * (counts[0] / row.gflops - 1)
        result |= {'paper': row.gflops, 'difference': f'{difference:+.1f} %'}
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
