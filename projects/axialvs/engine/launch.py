"""What tools/train.py and tools/test.py share: from a config file to a runner, also on a CPU."""

import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from axialvs.config_files import find_config

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')

# Set by torchrun for every process that it starts.
_TORCHRUN_VARIABLES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')


def load_config(
    path: str | Path, options: dict[str, Any] | None = None, work_dir: str | None = None
) -> Config:
    """Reads a config and applies what the command line says.

    Args:
        path: Config file, or the name of one of the project, see `find_config`.
        options: Dotted keys and the values that replace the config's.
        work_dir: Where the run writes; the config's own or `work_dirs/NAME` by default.

    Raises:
        FileNotFoundError: There is no such config.
    """
    path = find_config(path)
    config = Config.fromfile(str(path))
    if options:
        config.merge_from_dict(options)
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs') / path.stem)
    init_default_scope(config.get('default_scope', 'mmdet'))
    return config


def prepare_processes(config: Config, launcher: str) -> None:
    """Sets the config up for its launcher; without a GPU, the processes talk over gloo.

    mmengine's runner binds every process to a GPU where it starts the process group itself, so
    on a CPU the group is started here.

    Raises:
        ValueError: The process was not started by the launcher, or the launcher needs GPUs.
    """
    config.launcher = launcher
    if launcher == 'none':
        return
    if launcher == 'pytorch':
        missing = [name for name in _TORCHRUN_VARIABLES if name not in os.environ]
        if missing:
            raise ValueError(
                f'--launcher pytorch: {", ".join(missing)} not set, so this process was not '
                'started by torchrun; use tools/dist_train.sh or tools/dist_test.sh'
            )
    if torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ValueError(f'--launcher {launcher} needs GPUs and none was found')
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


def finish_processes() -> None:
    """Leaves the process group, so that no process waits for one that is gone."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def build_runner(config: Config) -> Runner:
    """The runner that the config names, mmengine's by default."""
    return RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
