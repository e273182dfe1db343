"""Training output: console lines, scalars, TensorBoard, with and without its package."""

import json
import re
import sys
from pathlib import Path

import pytest
from mmengine.runner import Runner
from tiny_run import tiny_config

RUN = dict(train_cfg__val_interval=2, train_cfg__max_iters=4, log_level='INFO')


def train(folder: Path, **options) -> Path:
    """Train briefly and return the folder of the log."""
    config = tiny_config(folder, **RUN, **options)
    config.optim_wrapper.clip_grad = dict(max_norm=1.0)
    Runner.from_cfg(config).train()
    (log,) = (folder / 'run').glob('*/*.log')
    return log.parent


def test_console_lines_and_scalars(tmp_path):
    folder = train(tmp_path)
    log = next(folder.glob('*.log')).read_text()
    (line,) = re.findall(r'Iter\(train\) \[4/4\].*', log)
    assert re.search(r'lr: \S+  eta: 0:00:00  time: \S+  data_time: \S+  memory: \d+  ', line)
    assert re.search(r'grad_norm: [\d.]+  loss: [\d.]+', line)
    records = [
        json.loads(text) for text in (folder / 'vis_data' / 'scalars.json').read_text().splitlines()
    ]
    training = next(r for r in records if r['step'] == 4 and 'train/loss' in r)
    assert {'train/lr', 'train/time', 'train/data_time', 'train/grad_norm'} <= training.keys()
    assert training['memory'] > 100  # MB; torch alone has more
    assert any('val/tiny/sum' in r for r in records if r['step'] == 4)


def test_losses_of_inner_layers_are_logged_as_scalars_only(tmp_path, monkeypatch):
    from tiny_run import TinyModel

    forward = TinyModel.forward

    def with_layers(self, inputs, mode='tensor', **kwargs):
        outputs = forward(self, inputs, mode, **kwargs)
        if mode == 'loss':
            outputs |= {f'd{i}.loss_cls': outputs['loss'] for i in (0, 11)}
            outputs['loss_cls'] = outputs.pop('loss')
        return outputs

    monkeypatch.setattr(TinyModel, 'forward', with_layers)
    folder = train(tmp_path)
    log = next(folder.glob('*.log')).read_text()
    lines = re.findall(r'Iter\(train\).*', log)
    assert lines
    assert all(re.search(r'loss: \S+  loss_cls: \S+$', line.rstrip()) for line in lines), lines
    assert 'd11.loss_cls' not in log
    assert '"train/d11.loss_cls"' in (folder / 'vis_data' / 'scalars.json').read_text()


def test_tensorboard_has_the_same_scalars(tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = train(tmp_path)
    events = EventAccumulator(str(folder / 'vis_data'))
    events.Reload()
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()['scalars']}
    for tag in ('train/loss', 'train/lr', 'train/grad_norm', 'train/time', 'memory'):
        assert [event.step for event in scalars[tag]] == [1, 2, 3, 4], tag
    assert [event.step for event in scalars['val/tiny/sum']] == [2, 4]
    assert 'config/text_summary' in events.Tags()['tensors']


def test_without_tensorboard_a_run_continues_and_warns_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)  # as if it were not installed
    folder = train(tmp_path)
    log = next(folder.glob('*.log')).read_text()
    assert log.count('No TensorBoard curves: the package tensorboard is missing') == 1
    assert not list(folder.glob('vis_data/events*'))
    assert '"train/loss"' in (folder / 'vis_data' / 'scalars.json').read_text()


def test_testing_writes_no_event_file(tmp_path):
    config = tiny_config(tmp_path)
    Runner.from_cfg(config).test()
    assert list((tmp_path / 'run').glob('*/vis_data/config.py'))
    assert not list((tmp_path / 'run').glob('*/vis_data/events*'))
