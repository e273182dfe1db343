"""Settings of all tests: the package is imported first, and commands find it uninstalled."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import distributed
from yapf.yapflib import yapf_api

import axialvs.register  # noqa: F401 - before any test imports mmcv.ops or mmdet.models

PACKAGES = Path(__file__).parents[1] / 'projects'

os.environ['PYTHONPATH'] = os.pathsep.join(
    path for path in (str(PACKAGES), os.environ.get('PYTHONPATH', '')) if path
)


# One thread, also in the commands that tests run. With two, the gradient of 1x1 convolutions from
# 8 channels, as in the tests' models, corrupts the heap (oneDNN in torch 2.13, AVX-512); with 16
# channels or more this was not observed.
torch.set_num_threads(1)
os.environ['OMP_NUM_THREADS'] = os.environ['MKL_NUM_THREADS'] = '1'

# mmengine formats the config several times in a run and for every checkpoint, which is most of the
# time of a tiny training.
yapf_api.FormatCode = lambda text, **_: (text, True)


@pytest.fixture(scope='session', autouse=True)
def _mmdet_scope_of_shared_models():
    init_default_scope('mmdet')


@pytest.fixture(autouse=True)
def _mmdet_scope():
    init_default_scope('mmdet')


@pytest.fixture
def one_process():
    """Initialize a process group with this process only."""
    store = distributed.HashStore()
    distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()
