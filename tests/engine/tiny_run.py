"""A model of three numbers and a runner for it, so that a whole training run takes a moment."""

import multiprocessing
import os
import signal
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn

import axialvs.register  # noqa: F401  (registers the hooks)


@MODELS.register_module(force=True)
class TinyModel(BaseModel):
    """A model that fits the mean of its inputs, with a little noise from torch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, inputs, mode: str = 'tensor', **kwargs):
        batch = torch.stack(list(inputs))
        if mode == 'loss':
            noise = torch.rand(3)
            return {'loss': ((self.weight - batch.mean(0) - 0.1 * noise) ** 2).sum()}
        return [{'value': self.weight.sum().item()} for _ in batch]


@DATASETS.register_module(force=True)
class TinyData(BaseDataset):
    """Sixteen vectors of three numbers."""

    METAINFO = {'classes': ('a', 'b')}

    def load_data_list(self) -> list[dict]:
        return [{'index': index} for index in range(16)]

    def prepare_data(self, index: int) -> dict:
        return {'inputs': torch.tensor([index, 2.0 * index, 1.0])}


@DATASETS.register_module(force=True)
class TinyFiles(TinyData):
    """`TinyData` whose sample 3 cannot be read while `3.missing` exists in the data root."""

    def prepare_data(self, index: int) -> dict:
        if (Path(self.data_root) / f'{index}.missing').exists():
            raise FileNotFoundError(f'sample {index} is missing')
        return super().prepare_data(index)


@DATASETS.register_module(force=True)
class KillsWorkers(TinyData):
    """`TinyData` that kills the loader worker, as the system does when memory runs out."""

    def prepare_data(self, index: int) -> dict:
        assert multiprocessing.parent_process() is not None
        os.kill(os.getpid(), signal.SIGKILL)


@DATASETS.register_module(force=True)
class RunsOutOfSharedMemory(TinyData):
    """`TinyData` that fails as torch does if shared memory is exhausted."""

    def prepare_data(self, index: int) -> dict:
        raise RuntimeError('unable to allocate shared memory(shm) for file </torch_7_3>: Success')


@METRICS.register_module(force=True)
class TinyMetric(BaseMetric):
    """A metric with the sum of the weights and the number of samples."""

    def process(self, data_batch, data_samples) -> None:
        self.results.extend(sample['value'] for sample in data_samples)

    def compute_metrics(self, results: list) -> dict:
        return {'sum': results[0], 'samples': len(results)}


CONFIG = """
_base_ = {runtime!r}
custom_imports = dict(imports=['axialvs.register', 'tiny_run'], allow_failed_imports=False)
model = dict(type='TinyModel')
data = dict(type='TinyData', pipeline=[])
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=data, sampler=dict(type='InfiniteSampler', shuffle=True))
test_dataloader = dict(
    batch_size=2, num_workers=0, dataset=data, sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader
val_evaluator = dict(type='TinyMetric', prefix='tiny')
test_evaluator = val_evaluator
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2), logger=dict(interval=1))
log_level = 'ERROR'
"""


def write_config(folder: Path) -> Path:
    """Write the tiny run's config, which inherits the project's runtime."""
    runtime = Path(__file__).parents[2] / 'configs' / '_base_' / 'default_runtime.py'
    path = folder / 'tiny.py'
    path.write_text(CONFIG.format(runtime=str(runtime)))
    return path


def tiny_config(folder: Path, **options) -> Config:
    """Return the tiny run's config for a folder; option `train_cfg__x` sets `train_cfg.x`."""
    config = Config.fromfile(write_config(folder))
    config.work_dir = str(folder / 'run')
    config.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    config.experiment_name = f'tiny_{folder.name}'
    return config
