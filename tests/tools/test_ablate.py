"""The rows of the ablations as configs, and a table of tiny trainings."""

import itertools
import json
import sys
from pathlib import Path

import ablate
import pytest
import torch
from ablation_rows import STUDIES, TABLES
from mmdet.registry import MODELS
from mmengine import Config

from axialvs.datasets.moving_shapes import generate_dataset
from training_clips import moving_boxes

ROWS = {f'{table}: {row.name}': row for table, rows in TABLES.items() for row in rows}
# One row of each design; the others differ only in numbers.
TRAINED = [
    *(f'4: {row.name}' for row in TABLES['4'][1:]),
    '4-cross-clip: VITA',
    '5: 1 deformable, 1 trajectory, N_w=2',
    '5: 2 deformable, then 4 axial',
    '6: self-attention, Temporal-ASPP',
    '6: trajectory, no Temporal-ASPP',
    '7: offline, T=3',
]


def test_row_configs_have_a_few_lines(tmp_path):
    for scale in ('vipseg', 'tiny'):
        for name, row in ROWS.items():
            text = ablate.write_config(row, scale, tmp_path).read_text()
            assert len(text.splitlines()) <= 6, name


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('5: 1 deformable, 4 axial, N_w=2', {'num_blocks': 2, 'num_layers': 4}),
        ('5: 1 deformable, 2 axial, N_w=3', {'num_blocks': 3, 'num_layers': 2}),
        ('6: rates 1 3 5', {'rates': (1, 3, 5), 'num_layers': 4}),
        ('7: range 10', {'frame_range': 10, 'clip_length': 2}),
        ('7: offline, T=3', {'clip_length': 3, 'num_frames': 24}),
    ],
)
def test_settings_of_rows(name, expected, tmp_path):
    config = Config.fromfile(ablate.write_config(ROWS[name], 'vipseg', tmp_path))
    head = config.model.panoptic_head
    found = {**config.train_dataloader.dataset, **head.within_clip, **head.get('cross_clip', {})}
    if name.startswith('5'):
        found |= head.within_clip.temporal_layer
    if name.startswith('6'):
        found |= head.cross_clip.aspp
    assert {key: found[key] for key in expected} == expected
    assert config.model.clip_length == found['clip_length']


@pytest.mark.parametrize('table', [*TABLES, *STUDIES])
def test_rows_start_from_earlier_rows(table):
    rows = (TABLES | STUDIES)[table]
    clip_lengths = {}
    for row in rows:
        assert row.start is None or clip_lengths[row.start] == row.clip_length
        clip_lengths[row.name] = row.clip_length
    assert len(clip_lengths) == len(rows)


@pytest.mark.parametrize('name', TRAINED)
def test_training_step_of_a_row(name, tmp_path):
    """Train on one clip, or on a video of two clips."""
    row = ROWS[name]
    config = Config.fromfile(ablate.write_config(row, 'tiny', tmp_path))
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    num_frames = (2 if row.method == 'offline' else 1) * config.model.clip_length
    frames = torch.randn(1, num_frames, 3, 33, 65)
    losses = model.loss(frames, [moving_boxes(2, num_frames, 33, 65)])
    total = sum(losses.values())
    total.backward()
    assert total.isfinite()
    head = model.panoptic_head
    module = head.cross_clip if row.method == 'offline' else head.within_clip
    assert all(x.grad is not None and x.grad.isfinite().all() for x in module.parameters())


@pytest.fixture
def finish_at_once(monkeypatch):
    """Replace trainings and tests by instant ones with made-up scores; return their commands."""
    started = []

    def start(process, **_):
        started.append(process)
        option = dict(itertools.pairwise(process))
        work_dir = Path(option['--work-dir'])
        work_dir.mkdir(parents=True, exist_ok=True)
        if '--out' in option:
            seed = int(work_dir.name[-1])
            scores = {
                'panoptic/vpq': 3.0 + seed,
                'panoptic/vpq_thing': 1.0,
                'panoptic/vpq_stuff': 5,
            }
            if 'hard' in process[2]:
                scores = {'youtube_vis/AP': 0.25 * seed}
                (work_dir / 'results.json').write_text('[]')
            Path(option['--out']).write_text(json.dumps(scores))
        else:
            (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_2.pth'))
        return original([sys.executable, '-S', '-c', ''])

    original = ablate.subprocess.Popen
    monkeypatch.setattr(ablate.subprocess, 'Popen', start)
    return started


def run_ablate(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['ablate.py', *map(str, arguments)])
    ablate.main()


def test_table_of_trainings(tmp_path, monkeypatch, finish_at_once):
    data = generate_dataset(tmp_path / 'panoptic', 'panoptic', 2, 1, num_frames=6)
    command = ['4', '--rows', 'deformable', '--max-iters', 2, '--seeds', 0, 1]
    command += ['--data-root', data, '--work-dir', tmp_path / 'runs']
    command += ['--out', tmp_path / 'table.md']
    run_ablate(monkeypatch, *command)
    assert [x[x.index('--seed') + 1] for x in finish_at_once if '--seed' in x] == ['0', '1']
    config = Config.fromfile(finish_at_once[0][2])
    assert config.train_cfg.max_iters == 2
    assert config.param_scheduler[-1].end == 2
    assert Path(config.test_evaluator.ann_file).is_file()
    assert config.test_dataloader.dataset.data_root == f'{data}/'
    _, _, line = (tmp_path / 'table.md').read_text().splitlines()
    assert line.startswith('| deformable | 44.5 | 3.50 ± 0.71 | 3.00, 4.00 | 1.00 ± 0.00 | ')
    run_ablate(monkeypatch, *command)  # nothing is rerun
    assert len(finish_at_once) == 4
    with pytest.raises(ablate.AxialVSError, match=r"'deform'.*'axial-trajectory'"):
        run_ablate(monkeypatch, '4', '--rows', 'deform')


def test_offline_row_starts_from_the_near_online_row(tmp_path, monkeypatch, finish_at_once):
    rows = ['near-online, T=3', 'offline, T=3']
    command = ['7', '--rows', *rows, '--max-iters', 8, '--seeds', 0, '--work-dir', tmp_path]
    run_ablate(monkeypatch, *command)
    near_online, offline = (x for x in finish_at_once if '--seed' in x)
    for process, max_iters in ((near_online, 8), (offline, 3)):
        config = Config.fromfile(process[2])
        assert config.train_cfg.max_iters == max_iters
        assert config.model.clip_length == 3
        assert config.test_dataloader.dataset.clip_length == 3
        assert config.val_dataloader is None
    start = tmp_path / 'table7' / 'near-online-t-3_8_seed0' / 'iter_2.pth'
    assert offline[-1] == f'load_from={start}'


def test_study_starts_from_weights_of_earlier_rows(tmp_path, monkeypatch, finish_at_once):
    data = generate_dataset(tmp_path / 'hard', 'hard', 1, 1, num_frames=24)
    command = ['hard', '--max-iters', 10, '--seeds', 0, 1, '--data-root', f'{data}/']
    command += ['--work-dir', tmp_path / 'runs', '--out', tmp_path / 'table.md']
    command += ['--cfg-options', 'load_from=other.pth']
    with pytest.raises(ablate.AxialVSError, match='within-clip'):
        run_ablate(monkeypatch, *command, '--rows', '+ cross-clip tracking')
    run_ablate(monkeypatch, *command)
    trained = [x for x in finish_at_once if '--seed' in x]
    assert [Path(x[2]).stem for x in trained] == [
        *['tube-link'] * 2,
        *['within-clip-tracking'] * 2,
        *['cross-clip-tracking'] * 2,
    ]
    assert Config.fromfile(trained[-1][2]).train_cfg.max_iters == 4
    start = tmp_path / 'runs' / 'hard' / 'within-clip-tracking_10_seed1' / 'iter_2.pth'
    assert trained[-1][-2:] == ['load_from=other.pth', f'load_from={start}']
    assert trained[0][-1] == 'load_from=other.pth'
    (memory,) = {x[2] for x in finish_at_once if 'memory' in x[2]}
    assert Config.fromfile(memory).model.test_cfg.linking == dict(memory={})
    assert [x[3] for x in finish_at_once if x[2] == memory][-1] == str(start)
    lines = (tmp_path / 'table.md').read_text().splitlines()
    assert lines[2].startswith('| Tube-Link | 0.125 ± 0.177 | 0.000, 0.250 | 0.000 ± 0.000 | ')
    assert len(lines) == 2 + len(STUDIES['hard'])


def test_flops_of_offline_rows_include_cross_clip(tmp_path):
    rows = {row.name: row for row in TABLES['6']}
    less, more = (
        ablate.row_gflops(rows[name], ablate.write_config(rows[name], 'tiny', tmp_path))[0]
        for name in ('trajectory, no Temporal-ASPP', 'N_c=8')
    )
    assert 0 < less < more
