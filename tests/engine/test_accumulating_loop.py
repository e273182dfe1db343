"""Tests that an iteration of several batches equals a single optimizer step."""

from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner
from tiny_run import TinyModel, tiny_config

from axialvs.checkpoints.loading import load_checkpoint_safely
from axialvs.engine.accumulation import accumulate_gradients, batches_of_step, scale_learning_rate


@MODELS.register_module(force=True)
class MeanModel(TinyModel):
    """The tiny run's model without noise; the loss of a batch is the mean over samples."""

    def forward(self, inputs, mode: str = 'tensor', **kwargs):
        if mode != 'loss':
            return super().forward(inputs, mode, **kwargs)
        return {'loss': ((self.weight - torch.stack(list(inputs))) ** 2).sum(1).mean()}


def config_of(folder: Path, batch_size: int, **options):
    """Return a run with steps of four samples, a schedule, clipping and intervals by iteration."""
    folder.mkdir(exist_ok=True)
    config = tiny_config(
        folder,
        model__type='MeanModel',
        train_dataloader__batch_size=batch_size,
        optim_wrapper__clip_grad=dict(max_norm=20.0),
        train_cfg__val_interval=3,
        default_hooks__checkpoint__interval=2,
        default_hooks__checkpoint__max_keep_ckpts=-1,
        **options,
    )
    config.param_scheduler = [
        dict(type='MultiStepLR', by_epoch=False, milestones=[2, 4], gamma=0.5)
    ]
    return config


def train(folder: Path, batch_size: int, accumulate: str | None = None, **options) -> Runner:
    config = config_of(folder, batch_size, **options)
    if accumulate:
        accumulate_gradients(config, accumulate)
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def saved(folder: Path, iteration: int = 6) -> dict:
    return load_checkpoint_safely(folder / 'run' / f'iter_{iteration}.pth')


def scalars(checkpoint: dict, name: str) -> list[float]:
    return [float(x) for x in checkpoint['message_hub']['log_scalars'][name].data[0]]


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    """A run whose steps are one batch of four."""
    folder = tmp_path_factory.mktemp('whole')
    train(folder, batch_size=4)
    return folder


def assert_same_run(ours: Path, expected: Path) -> None:
    assert sorted(p.name for p in (ours / 'run').glob('*.pth')) == sorted(
        p.name for p in (expected / 'run').glob('*.pth')
    )
    a, b = saved(ours), saved(expected)
    torch.testing.assert_close(a['state_dict'], b['state_dict'], rtol=1e-6, atol=1e-6)
    for name in ('train/loss', 'train/grad_norm', 'train/lr'):
        assert scalars(a, name) == pytest.approx(scalars(b, name), rel=1e-5)
        assert len(scalars(a, name)) == 6
    assert a['param_schedulers'] == b['param_schedulers']
    momentum, theirs = (x['optimizer']['state'][0]['momentum_buffer'] for x in (a, b))
    torch.testing.assert_close(momentum, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(('batch_size', 'accumulate'), [(1, 'auto'), (2, '2')])
def test_several_batches_match_one_large_batch(whole, tmp_path, batch_size, accumulate):
    """Weights, momentum, clipping, schedule, logs and files equal those with batches of 4."""
    runner = train(tmp_path, batch_size, accumulate)
    assert_same_run(tmp_path, whole)
    assert runner.iter == 6
    clipped = [norm > 20 for norm in scalars(saved(whole), 'train/grad_norm')]
    assert any(clipped)
    assert not all(clipped)


def test_validation_interval_counts_iterations(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr('mmengine.runner.ValLoop.run', lambda loop: seen.append(loop.runner.iter))
    train(tmp_path, 1, 'auto')
    assert seen == [3, 6]


def test_run_killed_within_a_step_resumes_from_the_last(whole, tmp_path, monkeypatch):
    backward = OptimWrapper.backward
    done = []

    def die_in_the_fifth_step(self, loss, **kwargs):
        backward(self, loss, **kwargs)
        done.append(loss)
        if len(done) == 4 * 4 + 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(OptimWrapper, 'backward', die_in_the_fifth_step)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 1, 'auto')
    monkeypatch.undo()
    last = tmp_path / 'run' / 'iter_4.pth'
    assert (tmp_path / 'run' / 'last_checkpoint').read_text() == str(last)
    # Half as many batches of twice the size have the same clips per step.
    train(tmp_path, 2, 'auto', resume=True, load_from=str(last))
    assert_same_run(tmp_path, whole)


def test_accumulation_in_bfloat16(tmp_path):
    """The tiny model has no matrix products, so bfloat16 does not change its results."""
    kind = dict(optim_wrapper__type='Bfloat16OptimWrapper')
    train(tmp_path / 'whole', 4, **kind)
    train(tmp_path / 'parts', 1, 'auto', **kind)
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


def test_option_overrides_accumulation_of_the_config(tmp_path):
    config = config_of(tmp_path, 2)
    for of_config, option, accumulate in (
        (dict(global_batch_size=8), '1', 1),
        (dict(accumulate=4), 'auto', 2),
    ):
        config.train_cfg.update(type='AccumulatingTrainLoop', **of_config)
        accumulate_gradients(config, option)
        config.experiment_name = option
        assert Runner.from_cfg(config).train_loop.accumulate == accumulate


def test_batches_of_a_step():
    assert batches_of_step(8, processes=8, batch_size=1) == 1
    assert batches_of_step(8, processes=2, batch_size=1) == 4
    assert batches_of_step(8, processes=1, batch_size=2) == 4
    with pytest.raises(ValueError, match=r'batches of 3 clips \(3 processes x 1\)'):
        batches_of_step(8, processes=3, batch_size=1)
    with pytest.raises(ValueError, match='take fewer processes'):
        batches_of_step(8, processes=8, batch_size=2)


def test_invalid_settings_raise(tmp_path):
    config = config_of(tmp_path, 4)
    accumulate_gradients(config, '2')
    scale_learning_rate(config)
    with pytest.raises(ValueError, match='not both'):
        Runner.from_cfg(config).train()
    config = config_of(tmp_path, 4, optim_wrapper__accumulative_counts=2)
    accumulate_gradients(config, '2')
    with pytest.raises(ValueError, match='accumulates by itself'):
        Runner.from_cfg(config).train()
    for wrong in ('0', '-1', 'x', '1.5'):
        with pytest.raises(ValueError, match=f'--accumulate {wrong}: must be a positive integer'):
            accumulate_gradients(config_of(tmp_path, 4), wrong)
    config = config_of(tmp_path, 4)
    config.pop('auto_scale_lr')
    with pytest.raises(ValueError, match=r'no auto_scale_lr\.base_batch_size'):
        accumulate_gradients(config, 'auto')
