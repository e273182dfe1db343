"""Tests of launching a run: missing launchers, ports, mixed precision."""

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from tiny_run import TinyModel, tiny_config

from axialvs.engine import amp as amp_module
from axialvs.engine.accumulation import warn_of_other_batch
from axialvs.engine.launch import prepare_processes

SEEN = []


@MODELS.register_module(force=True)
class AutocastModel(TinyModel):
    """A model that records the dtype of a matrix product."""

    def forward(self, inputs, mode: str = 'tensor', **kwargs):
        SEEN.append((self.weight[None] @ self.weight[:, None]).dtype)
        return super().forward(inputs, mode, **kwargs)


@pytest.fixture
def slurm(monkeypatch):
    """Set the environment variables of srun."""
    variables = dict(SLURM_PROCID='1', SLURM_NTASKS='2', SLURM_NODELIST='a', SLURM_JOB_ID='77')
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('SLURM_STEP_ID', '0')
    monkeypatch.setenv('MASTER_PORT', '')  # so that it is restored
    monkeypatch.delenv('MASTER_PORT')
    return monkeypatch


def port_of(slurm, job: int, step: int = 0) -> int:
    slurm.setenv('SLURM_JOB_ID', str(job))
    slurm.setenv('SLURM_STEP_ID', str(step))
    slurm.delenv('MASTER_PORT', raising=False)
    slurm.setattr(torch.cuda, 'is_available', lambda: True)  # the process group is not started
    prepare_processes(Config(), 'slurm')
    return int(os.environ['MASTER_PORT'])


def test_slurm_jobs_and_steps_use_different_ports(slurm):
    ports = [port_of(slurm, job, step) for job in (77, 78, 79) for step in (0, 1)]
    assert len(set(ports)) == len(ports)
    assert all(15_000 <= port < 30_000 for port in ports)
    assert port_of(slurm, 77) == ports[0]  # all processes of a step agree
    slurm.setenv('MASTER_PORT', '4711')
    prepare_processes(Config(), 'slurm')
    assert os.environ['MASTER_PORT'] == '4711'


def test_error_names_the_missing_launcher(slurm):
    slurm.delenv('SLURM_PROCID')
    with pytest.raises(ValueError, match=r'SLURM_PROCID not set.*slurm_train\.sh'):
        prepare_processes(Config(), 'slurm')
    slurm.delenv('RANK', raising=False)
    with pytest.raises(ValueError, match=r'RANK.*not started by torchrun'):
        prepare_processes(Config(), 'pytorch')


def test_slurm_without_gpus_is_refused(slurm):
    slurm.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match=r'start tools/dist_train\.sh'):
        prepare_processes(Config(), 'slurm')


def test_amp_of_a_test_runs_the_network_in_bfloat16(tmp_path):
    for amp, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        config = tiny_config(tmp_path, model__type='AutocastModel')
        if amp:
            amp_module.use_in_test(config, 'bfloat16')
        SEEN.clear()
        assert Runner.from_cfg(config).test()['tiny/samples'] == 16
        assert set(SEEN) == {dtype}


@pytest.mark.parametrize(('speedup', 'dtype'), [(2.4, torch.bfloat16), (0.02, None)])
def test_auto_precision_is_the_fastest_on_the_device(monkeypatch, speedup, dtype):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(amp_module, 'bfloat16_speedup', lambda: speedup)
    assert amp_module.precision_of_device('auto', 'cpu') == dtype
    assert amp_module.precision_of_device('bfloat16', 'cpu') == torch.bfloat16
    with pytest.raises(ValueError, match='float16 needs a GPU'):
        amp_module.precision_of_device('float16', torch.device('cpu'))


def test_float32_leaves_the_config_unchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(amp_module, 'bfloat16_speedup', lambda: 0.5)
    config = tiny_config(tmp_path)
    before = config.to_dict()
    amp_module.use_in_test(config, 'auto')
    amp_module.use_in_training(config, 'auto')
    assert config.to_dict() == before


def test_different_batch_size_is_logged(tmp_path):
    warned = []
    for batch_size in (2, 4):
        config = tiny_config(tmp_path, train_dataloader__batch_size=batch_size)
        runner = Runner.from_cfg(config)
        runner.logger.warning = warned.append
        warn_of_other_batch(runner)
    assert [text.split(':')[0] for text in warned] == [
        'The batch has 2 clips and the learning rate is for 4'
    ]
