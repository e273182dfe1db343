"""Build a runner from a config file, also for several processes on a CPU."""

import gc
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from axialvs.engine.runner import SafeRunner
from axialvs.utils.config_files import find_config, read_config
from axialvs.utils.env import limit_threads
from axialvs.utils.errors import AxialVSError

# Set by torchrun for every process that it starts.
_TORCHRUN_VARIABLES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
# Set by srun.
_SLURM_VARIABLES = ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST', 'SLURM_JOB_ID')

# Ports of Slurm jobs, below those that systems give to clients.
_SLURM_PORTS = range(15_000, 30_000)


def load_config(
    path: str | Path, options: dict[str, Any] | None = None, work_dir: str | None = None
) -> Config:
    """Read a config and apply the options of the command line.

    Args:
        path: config file or name, see `find_config`.
        options: values by dotted keys.
        work_dir: output folder; the config's or `work_dirs/NAME` by default.

    Raises:
        FileNotFoundError: if there is no such config.
    """
    path = find_config(path)
    config = read_config(path, options)
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs') / path.stem)
    init_default_scope(config.get('default_scope', 'mmdet'))
    return config


def prepare_processes(config: Config, launcher: str) -> None:
    """Set the config up for its launcher; processes without GPUs use gloo.

    mmengine binds every process to a GPU when it starts the process group, so on a CPU the group is
    started here. Only the first process shows warnings.

    Raises:
        AxialVSError: if the launcher did not start this process, or needs GPUs.
    """
    config.launcher = launcher
    if launcher == 'none':
        return
    if launcher == 'pytorch':
        _check_started_by('torchrun', launcher, _TORCHRUN_VARIABLES, 'dist')
    elif launcher == 'slurm':
        _check_started_by('srun', launcher, _SLURM_VARIABLES, 'slurm')
        os.environ.setdefault('MASTER_PORT', str(_port_of_slurm_step()))
    if os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0')) != '0':
        warnings.simplefilter('ignore')
    if torch.cuda.is_available():
        return
    if launcher == 'slurm':
        raise AxialVSError(
            '--launcher slurm needs GPUs and none was found; on CPUs, start '
            'tools/dist_train.sh or tools/dist_test.sh on each machine'
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = config.get('model_wrapper_cfg') or {}
    find_unused = wrapper.get('find_unused_parameters', config.get('find_unused_parameters', False))
    config.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=wrapper.get('broadcast_buffers', False),
        find_unused_parameters=find_unused,
    )


def _check_started_by(starter: str, launcher: str, variables: tuple[str, ...], tools: str) -> None:
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise AxialVSError(
            f'--launcher {launcher}: {", ".join(missing)} not set, so this process was not started '
            f'by {starter}; use tools/{tools}_train.sh or tools/{tools}_test.sh'
        )


def _port_of_slurm_step() -> int:
    """Return a port for all processes of a step that differs between jobs.

    mmengine uses 29500 for every job, so that two cannot run on one machine.
    """
    job, step = int(os.environ['SLURM_JOB_ID']), int(os.environ.get('SLURM_STEP_ID', 0))
    return _SLURM_PORTS[(job + 1_000 * step) % len(_SLURM_PORTS)]


def finish_processes() -> None:
    """Destroy the process group at the end of a run, after the runner was deleted.

    A model that still exists keeps gloo's threads alive, which can abort the process at exit.

    Do not call it after an error, as it would wait for processes that wait for this one.
    """
    if torch.distributed.is_initialized():
        gc.collect()  # runner, loops and hooks form reference cycles
        torch.distributed.destroy_process_group()


def build_runner(config: Config) -> Runner:
    """Build the config's `runner_type`, `SafeRunner` by default, for its `num_threads`."""
    limit_threads(config.get('num_threads'))
    return RUNNERS.build(config) if 'runner_type' in config else SafeRunner.from_cfg(config)
