"""Tests of the replacement of mmcv's compiled operators."""

import subprocess
import sys
from importlib import util

import pytest
import torch

from axialvs.utils import mmcv_ops

WITHOUT_OPERATORS = pytest.mark.skipif(
    mmcv_ops.missing_reason() is None, reason='mmcv has its compiled operators here'
)


def run_python(code: str, cwd, *prelude: str) -> str:
    """Run code in a new interpreter in another folder and return what it printed."""
    result = subprocess.run(
        [sys.executable, '-c', '\n'.join([*prelude, code])],
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@WITHOUT_OPERATORS
def test_missing_operator_error_names_operator_and_fix():
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    with pytest.raises(mmcv_ops.MissingOperatorError) as error:
        nms(boxes, torch.ones(1), iou_threshold=0.5)
    assert '`nms`' in str(error.value)
    assert 'installed without compiled operators' in str(error.value)
    assert mmcv_ops.INSTALL_COMMAND in str(error.value)


@WITHOUT_OPERATORS
def test_private_names_are_not_operators():
    import mmcv._ext

    assert not hasattr(mmcv._ext, '__path__')
    assert util.find_spec('mmcv._ext') is mmcv._ext.__spec__
    assert mmcv._ext.__spec__.name == 'mmcv._ext'


def test_installing_twice_keeps_the_module():
    first = sys.modules[mmcv_ops.EXTENSION]
    assert mmcv_ops.install_stand_in() == (mmcv_ops.missing_reason() is not None)
    assert sys.modules[mmcv_ops.EXTENSION] is first


def test_models_import_and_runner_builds_from_any_folder(tmp_path):
    out = run_python(
        """
import axialvs.register
import mmdet.models
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

class Tiny(BaseModel):
    def forward(self, *args, **kwargs):
        return {}

Runner(Tiny(), work_dir='out', log_level='ERROR', experiment_name='tiny')
print('built')
""",
        tmp_path,
    )
    assert 'built' in out


def test_broken_extension_is_distinguished_from_missing(tmp_path):
    """An extension compiled for another torch does not fail the import; its error is kept."""
    out = run_python(
        """
import axialvs.register
from axialvs.utils import mmcv_ops
import mmdet.models
print(mmcv_ops.missing_reason())
""",
        tmp_path,
        'import importlib.abc, importlib.machinery, sys',
        'class Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):',
        '    def find_spec(self, name, path=None, target=None):',
        "        if name == 'mmcv._ext':",
        '            return importlib.machinery.ModuleSpec(name, self)',
        '    def create_module(self, spec):',
        "        raise ImportError('undefined symbol: _ZN2at')",
        '    def exec_module(self, module):',
        '        pass',
        'sys.meta_path.insert(0, Broken())',
    )
    assert out.strip().splitlines()[-1] == (
        'the compiled operators of mmcv cannot be loaded (undefined symbol: _ZN2at)'
    )


def test_importing_mmdet_prints_nothing(tmp_path):
    """The module is loaded separately, since importing the package imports mmdet."""
    out = run_python(
        f"""
from importlib import util
spec = util.spec_from_file_location('operators', {mmcv_ops.__file__!r})
module = util.module_from_spec(spec)
spec.loader.exec_module(module)
module.install_stand_in()
module.import_mmdet()
import mmdet.datasets
""",
        tmp_path,
    )
    assert out == ''
