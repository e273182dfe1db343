"""A resumed run continues as if uninterrupted: random numbers, validation, signals, files."""

import os
import resource
import signal
import sys
from pathlib import Path

import kill_and_resume
import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from tiny_run import TinyMetric, tiny_config

from axialvs.checkpoints.loading import DamagedCheckpointError, load_checkpoint_safely
from axialvs.engine.checkpointing import AtomicLocalBackend
from axialvs.engine.resuming import find_resume_checkpoint
from axialvs.engine.runner import SafeRunner
from axialvs.utils.files import write_atomically

ITERATIONS = 6


def build(folder: Path, resume: bool = False, **options) -> SafeRunner:
    folder.mkdir(exist_ok=True)
    if resume:
        last = find_resume_checkpoint(folder / 'run')
        options.update(resume=True, load_from=str(last))
    config = tiny_config(folder, **options)
    config.experiment_name = f'{folder.name}_{os.urandom(4).hex()}'
    return SafeRunner.from_cfg(config)


def train(folder: Path, resume: bool = False, **options) -> SafeRunner:
    runner = build(folder, resume, **options)
    runner.train()
    return runner


def assert_same_end(folder: Path, other: Path) -> None:
    """Assert that weights and momenta are bitwise equal."""
    states = [load_checkpoint_safely(f / 'run' / f'iter_{ITERATIONS}.pth') for f in (folder, other)]
    momenta = [s['optimizer']['state'][0]['momentum_buffer'] for s in states]
    assert torch.equal(*(s['state_dict']['weight'] for s in states))
    assert torch.equal(*momenta)
    assert momenta[0].any()


@HOOKS.register_module(force=True)
class SignalHook(Hook):
    """A hook that signals this process and its loader workers in one iteration."""

    def __init__(self, at: int, name: str = 'SIGTERM') -> None:
        self.at, self.number = at, signal.Signals[name]

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter + 1 == self.at:
            iterator = runner.train_loop.dataloader_iterator._iterator
            for worker in getattr(iterator, '_workers', ()):
                os.kill(worker.pid, self.number)
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    """Return an uninterrupted run."""
    folder = tmp_path_factory.mktemp('whole')
    train(folder)
    return folder


def test_random_seed_is_kept_on_resume(tmp_path):
    unseeded = dict(randomness__seed=None)
    train(tmp_path / 'halves', **unseeded, train_cfg__max_iters=3)
    second = train(tmp_path / 'halves', resume=True, **unseeded)
    train(tmp_path / 'other', randomness__seed=second.seed)
    assert_same_end(tmp_path / 'halves', tmp_path / 'other')
    assert second.train_dataloader.sampler.seed == second.seed


@pytest.mark.parametrize(('name', 'workers'), [('SIGTERM', 1), ('SIGUSR1', 0)])
def test_signal_saves_and_stops(tmp_path, whole, name, workers):
    """Also if loader workers receive it, as from Slurm; no regular save is near."""
    before = signal.getsignal(signal.Signals[name])
    options = dict(default_hooks__checkpoint__interval=100, train_dataloader__num_workers=workers)
    runner = build(tmp_path, **options, custom_hooks=[dict(type='SignalHook', at=4, name=name)])
    with pytest.raises(SystemExit) as end:
        runner.train()
    assert end.value.code == 128 + signal.Signals[name]
    assert signal.getsignal(signal.Signals[name]) == before
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_4.pth'
    train(tmp_path, resume=True, **options)
    assert_same_end(tmp_path, whole)


def test_signal_does_not_interrupt_a_save(tmp_path, whole, monkeypatch):
    put = AtomicLocalBackend.put

    def signaling_put(self, data, path):
        if str(path).endswith('iter_2.pth'):
            os.kill(os.getpid(), signal.SIGTERM)
        put(self, data, path)

    monkeypatch.setattr(AtomicLocalBackend, 'put', signaling_put)
    with pytest.raises(SystemExit):
        train(tmp_path)
    monkeypatch.undo()
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_2.pth'
    train(tmp_path, resume=True)
    assert_same_end(tmp_path, whole)


def test_signal_waits_for_accumulated_gradients(tmp_path):
    options = dict(optim_wrapper__accumulative_counts=2, default_hooks__checkpoint__interval=3)
    with pytest.raises(SystemExit):
        train(tmp_path / 'a', **options, custom_hooks=[dict(type='SignalHook', at=1)])
    assert find_resume_checkpoint(tmp_path / 'a' / 'run').name == 'iter_2.pth'
    train(tmp_path / 'a', resume=True, **options)
    train(tmp_path / 'b', **options)
    names = {path.name for path in (tmp_path / 'b' / 'run').glob('*.pth')}
    assert names == {'iter_4.pth', 'iter_6.pth'}
    assert_same_end(tmp_path / 'a', tmp_path / 'b')


def test_schedule_with_a_function_in_its_state_resumes(tmp_path):
    """Functions are not saved, since reading them would require running code."""
    options = dict(
        param_scheduler=[dict(type='OneCycleLR', eta_max=0.1, total_steps=6, by_epoch=False)]
    )
    train(tmp_path / 'a', **options)
    with pytest.raises(SystemExit):
        train(tmp_path / 'b', **options, custom_hooks=[dict(type='SignalHook', at=3)])
    train(tmp_path / 'b', resume=True, **options)
    assert_same_end(tmp_path / 'a', tmp_path / 'b')


def test_epoch_training_on_an_infinite_sampler_raises(tmp_path):
    config = tiny_config(tmp_path)
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    config.train_dataloader.sampler = dict(type='InfiniteClipSampler')
    with pytest.raises(ValueError, match=r'InfiniteClipSampler has no end; take IterBased'):
        SafeRunner.from_cfg(config).train()


BEST = dict(
    train_cfg__val_interval=3,
    default_hooks__checkpoint__save_best='tiny/sum',
    default_hooks__checkpoint__rule='greater',
)


@pytest.fixture
def validated(monkeypatch) -> list[int]:
    """Record the number of samples of each validation."""
    seen = []
    compute = TinyMetric.compute_metrics

    def counting(self, results):
        seen.append(len(results))
        return compute(self, results)

    monkeypatch.setattr(TinyMetric, 'compute_metrics', counting)
    return seen


def test_interrupted_validation_is_repeated(tmp_path, validated, monkeypatch):
    counting = TinyMetric.compute_metrics

    def fail_at_the_end(self, results):
        if validated:
            raise KeyboardInterrupt
        return counting(self, results)

    monkeypatch.setattr(TinyMetric, 'compute_metrics', fail_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, **BEST)
    best = tmp_path / 'run' / 'best_tiny_sum_iter_6.pth'
    assert not best.exists()
    monkeypatch.setattr(TinyMetric, 'compute_metrics', counting)
    train(tmp_path, resume=True, **BEST)
    assert validated == [16, 16]
    assert best.exists()
    saved = load_checkpoint_safely(tmp_path / 'run' / 'iter_6.pth')['message_hub']['runtime_info']
    assert Path(saved['best_ckpt']).name == best.name
    train(tmp_path, resume=True, **BEST)  # nothing is left to do
    assert validated == [16, 16]


def test_signal_in_a_validation_stops_it(tmp_path, validated):
    @HOOKS.register_module(force=True)
    class SignalInValidationHook(Hook):
        def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    options = dict(BEST, default_hooks__checkpoint__interval=100)
    with pytest.raises(SystemExit):
        train(tmp_path, **options, custom_hooks=[dict(type='SignalInValidationHook')])
    assert validated == []
    assert find_resume_checkpoint(tmp_path / 'run').name == 'iter_3.pth'
    train(tmp_path, resume=True, **options)
    assert validated == [16, 16]


@pytest.fixture
def saved(tmp_path) -> Path:
    """Return a working directory with three checkpoints."""
    for step in (8, 9, 10):
        torch.save({'state_dict': {'a': torch.ones(999)}}, tmp_path / f'iter_{step}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_10.pth'))
    return tmp_path


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """Capture the log messages."""
    lines = []
    monkeypatch.setattr(
        'axialvs.engine.resuming.print_log', lambda text, **kwargs: lines.append(text)
    )
    return lines


@pytest.mark.parametrize('share', [0, 0.2, 0.7, 0.99])
def test_truncated_checkpoint_is_skipped_with_a_warning(saved, told, share):
    cut(saved / 'iter_10.pth', share)
    assert find_resume_checkpoint(saved) == saved / 'iter_9.pth'
    assert f'{saved}/iter_10.pth' in told[0]
    assert 'is truncated' in told[0]
    assert f'resuming from {saved}/iter_9.pth' in told[0]


def test_newer_checkpoints_of_an_earlier_attempt_are_ignored(saved, told):
    """Resuming from an older checkpoint leaves newer files of the earlier attempt."""
    (saved / 'last_checkpoint').write_text(str(saved / 'iter_9.pth'))
    cut(saved / 'iter_9.pth', 0.5)
    assert find_resume_checkpoint(saved) == saved / 'iter_8.pth'


def test_no_complete_checkpoint_raises(saved):
    for step in (8, 9, 10):
        cut(saved / f'iter_{step}.pth', 0.5)
    with pytest.raises(DamagedCheckpointError, match=r'iter_10\.pth.*iter_9\.pth.*iter_8\.pth'):
        find_resume_checkpoint(saved)


def test_killed_before_last_checkpoint_was_written(saved, told):
    (saved / 'last_checkpoint').unlink()
    (saved / 'best_AP_iter_11.pth').write_bytes(b'')
    assert find_resume_checkpoint(saved) == saved / 'iter_10.pth'
    assert 'last_checkpoint is missing' in told[0]


def test_full_disk_leaves_only_the_old_file(tmp_path):
    """A limit on the file size makes writing fail as on a full disk."""
    path = tmp_path / 'iter_1.pth'
    write_atomically(path, b'old')
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match=r'iter_1\.pth could not be written .*4\.19 MB are need'):
            write_atomically(path, bytes(4 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_killed_run_matches_an_uninterrupted_run(tmp_path, monkeypatch, capsys):
    """Kill the actual tool twice: in an iteration and while a checkpoint is written."""
    options = ['--kills', '2', '--iterations', '9', '--folder', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['kill_and_resume.py', *options])
    assert kill_and_resume.main() == 0
    output = capsys.readouterr().out
    assert 'died writing ' in output
    assert 'different: nothing; processes left: none' in output
