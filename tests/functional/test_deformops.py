"""Selection of deformops: usable, broken, or too new for the installed torch."""

import sys

import pytest
import torch

from axialvs.functional import ms_deform_attn as module
from axialvs.functional.ms_deform_attn import (
    check_backend,
    deformops_missing_reason,
    select_implementation,
)
from axialvs.utils.mmcv_ops import MissingOperatorError


def _loaded_parts() -> list[str]:
    return [name for name in sys.modules if name.split('.')[0] == 'deformops']


@pytest.fixture
def install_deformops(tmp_path, monkeypatch):
    """Return a function that installs a fake deformops whose registry has the given source."""

    def install(text: str) -> None:
        package = tmp_path / 'deformops'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'registry.py').write_text(text)

    monkeypatch.syspath_prepend(tmp_path)
    for name in _loaded_parts():  # of an actual installation
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(module, 'DEFORMOPS_MIN_PYTHON', (3, 0))
    monkeypatch.setattr(module, 'missing_reason', lambda: 'mmcv has none')
    deformops_missing_reason.cache_clear()
    yield install
    for name in _loaded_parts():
        del sys.modules[name]
    deformops_missing_reason.cache_clear()


def test_working_package_is_selected(install_deformops):
    install_deformops('def msda(*arguments): ...\n')
    assert deformops_missing_reason() is None
    assert select_implementation('cuda', torch.bfloat16) == (
        'deformops',
        'its kernels for this GPU',
    )


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('def msda(:\n', 'SyntaxError: invalid syntax'),
        ("raise ImportError('undefined symbol: _ZN2at')\n", 'ImportError: undefined symbol'),
        ("raise OSError('libcudart.so.13: cannot open')\n", 'OSError: libcudart.so.13'),
        ('sample = None\n', "ImportError: cannot import name 'msda'"),
    ],
)
def test_broken_package_is_skipped_with_the_reason(install_deformops, text, reason):
    install_deformops(text)
    backend, why = select_implementation('cuda', torch.bfloat16)
    assert backend == 'torch'
    assert reason in why
    with pytest.raises(MissingOperatorError, match='deformops'):
        check_backend('deformops')


def test_package_for_a_newer_torch_is_skipped(install_deformops, monkeypatch):
    install_deformops('def msda(*arguments): ...\n')
    monkeypatch.setattr(torch, '__version__', '2.10.1+cu128')
    backend, why = select_implementation('cuda', torch.bfloat16)
    assert backend == 'torch'
    assert '2.10.1+cu128' in why
