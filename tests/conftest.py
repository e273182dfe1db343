"""What all tests share: the package comes first, and commands find it without an installation."""

import os
from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

import axialvs  # noqa: F401 - makes mmcv.ops and mmdet.models importable, before any test imports them

PACKAGES = Path(__file__).parents[1] / 'projects'

os.environ['PYTHONPATH'] = os.pathsep.join(
    path for path in (str(PACKAGES), os.environ.get('PYTHONPATH', '')) if path
)


@pytest.fixture(scope='session', autouse=True)
def _mmdet_scope_of_shared_models():
    init_default_scope('mmdet')


@pytest.fixture(autouse=True)
def _mmdet_scope():
    init_default_scope('mmdet')
