"""Tests of loading a checkpoint without some of its parts."""

from pathlib import Path

import pytest
import torch
from tiny_run import tiny_config

from axialvs.checkpoints.loading import CheckpointError, load_checkpoint_safely
from axialvs.engine.runner import SafeRunner


def train(folder: Path, *leave_out: str, **options) -> SafeRunner:
    folder.mkdir(exist_ok=True)
    hook = dict(type='CheckpointRemapHook', leave_out=leave_out)
    runner = SafeRunner.from_cfg(tiny_config(folder, custom_hooks=[hook], **options))
    runner.train()
    return runner


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    path = tmp_path / 'start.pth'
    torch.save(
        {'state_dict': {'weight': torch.full((3,), 100.0), 'extra.weight': torch.ones(1)}}, path
    )
    return path


def last_weight(runner: SafeRunner) -> float:
    """Return a weight that is near its initial value after a single step."""
    return runner.model.weight[2].item()


def test_matching_parts_are_not_loaded(tmp_path, checkpoint):
    options = dict(load_from=str(checkpoint), train_cfg__max_iters=1)
    assert last_weight(train(tmp_path / 'a', 'extra.*', **options)) > 50
    assert last_weight(train(tmp_path / 'b', '*weight', **options)) < 1


def test_unmatched_pattern_raises(tmp_path, checkpoint):
    with pytest.raises(CheckpointError, match=r"'wieght' fits no name.*take it out"):
        train(tmp_path / 'a', 'wieght', load_from=str(checkpoint))


def test_resuming_loads_everything(tmp_path):
    train(tmp_path, train_cfg__max_iters=2)
    last = str(tmp_path / 'run' / 'iter_2.pth')
    runner = train(tmp_path, 'weight', load_from=last, resume=True, train_cfg__max_iters=2)
    assert torch.equal(runner.model.weight, load_checkpoint_safely(last)['state_dict']['weight'])
    assert runner.model.weight.any()


def test_resuming_from_weights_only_raises(tmp_path):
    """Otherwise the schedule would restart in the middle of the run."""
    options = dict(
        param_scheduler=[dict(type='LinearLR', by_epoch=False, end=4)],
        train_cfg__val_interval=2,
        default_hooks__checkpoint__save_best='tiny/sum',
        default_hooks__checkpoint__rule='greater',
    )
    train(tmp_path / 'a', train_cfg__max_iters=2, **options)
    best = tmp_path / 'a' / 'run' / 'best_tiny_sum_iter_2.pth'
    published = tmp_path / 'published.pth'
    torch.save({'state_dict': load_checkpoint_safely(best)['state_dict'], 'meta': {}}, published)
    for path in (best, published):
        with pytest.raises(CheckpointError, match=rf'{path.name} has weights without .*load_from'):
            train(tmp_path / path.stem, load_from=str(path), resume=True, **options)


def test_missing_optimizer_state_is_logged(tmp_path):
    train(tmp_path / 'a', train_cfg__max_iters=2, default_hooks__checkpoint__save_optimizer=False)
    last = str(tmp_path / 'a' / 'run' / 'iter_2.pth')
    runner = train(tmp_path / 'b', load_from=last, resume=True, log_level='WARNING')
    assert runner.iter == 6
    (log,) = (tmp_path / 'b' / 'run').glob('*/*.log')
    assert 'iter_2.pth was saved without the state of the optimizer' in log.read_text()


def test_console_reports_weights_once(tmp_path, checkpoint, capfd):
    options = dict(optim_wrapper__paramwise_cfg=dict(bias_lr_mult=1.0), log_level='INFO')
    config = tiny_config(tmp_path, load_from=str(checkpoint), **options)
    runner = SafeRunner.from_cfg(config)
    runner.model.scale = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    runner.train()
    shown = capfd.readouterr().out
    assert shown.count('missing') == 1
    assert 'missing in it: scale' in shown
    assert 'requires_grad' not in shown
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert 'scale is skipped since its requires_grad=False' in log.read_text()
