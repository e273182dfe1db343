"""The rows of the ablations as configs, and a table of tiny trainings."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config

from axialvs.datasets.moving_shapes import generate_dataset
from training_clips import moving_boxes

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'
sys.path.insert(0, str(TOOLS))
import ablate  # noqa: E402
from ablation_rows import TABLES  # noqa: E402

ROWS = {f'{table}: {row.name}': row for table, rows in TABLES.items() for row in rows}
# One of each design; other rows differ in numbers.
TRAINED = [
    *(f'4: {row.name}' for row in TABLES['4'][1:]),
    '4-cross-clip: VITA',
    '5: 1 deformable, 1 trajectory, N_w=2',
    '5: 2 deformable, then 4 axial',
    '6: self-attention, Temporal-ASPP',
    '6: trajectory, no Temporal-ASPP',
    '7: offline, T=3',
]


def test_rows_are_children_of_a_few_lines(tmp_path):
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


@pytest.mark.parametrize('name', TRAINED)
def test_training_step_of_a_row(name, tmp_path):
    """On one clip, or a video of two clips."""
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


def test_table_of_trainings(tmp_path, monkeypatch, capsys):
    data = generate_dataset(tmp_path / 'panoptic', 'panoptic', 2, 1, num_frames=6)
    command = ['ablate.py', '4', '--rows', 'deformable', '--max-iters', '2', '--seeds', '0', '1']
    command += ['--data-root', f'{data}/', '--work-dir', str(tmp_path / 'runs')]
    command += ['--out', str(tmp_path / 'table.md')]
    trained = []

    def train(process, **_):
        """Finish at once, as a training would."""
        trained.append(process)
        work_dir = Path(process[process.index('--work-dir') + 1])
        log = work_dir / '0' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps({'vpq': 3.0 * len(trained), 'step': 2}) + '\n')
        return original([sys.executable, '-c', ''])

    original = ablate.subprocess.Popen
    monkeypatch.setattr(ablate.subprocess, 'Popen', train)
    monkeypatch.setattr(sys, 'argv', command)
    ablate.main()
    assert [x[x.index('--seed') + 1] for x in trained] == ['0', '1']
    config = Config.fromfile(trained[0][2])
    assert config.train_cfg.max_iters == 2
    assert config.param_scheduler[-1].end == 2
    assert Path(config.val_evaluator.ann_file).is_file()
    assert config.val_dataloader.dataset.data_root == f'{data}/'
    _, _, line = (tmp_path / 'table.md').read_text().splitlines()
    assert line.startswith('| deformable | 44.5 | 4.50 ± 2.12 | 3.00, 6.00 | ')
    ablate.main()  # nothing is trained again
    assert len(trained) == 2
    monkeypatch.setattr(sys, 'argv', ['ablate.py', '4', '--rows', 'deform'])
    with pytest.raises(ablate.AxialVSError, match=r"'deform'.*'axial-trajectory'"):
        ablate.main()
