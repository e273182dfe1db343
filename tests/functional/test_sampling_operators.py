"""What is said of deformops where it is too new for the rest, broken, or fine."""

import sys

import pytest
import torch

from axialvs.functional import ms_deform_attn as deformable_sampling
from axialvs.functional import ms_deform_attn as sampling_operators
from axialvs.functional.ms_deform_attn import (
    check_backend,
    choose_backend,
    deformops_missing_reason,
)
from axialvs.utils.mmcv_ops import MissingOperatorError


def _loaded_parts() -> list[str]:
    return [name for name in sys.modules if name.split('.')[0] == 'deformops']


@pytest.fixture
def install_deformops(tmp_path, monkeypatch):
    """Puts a package of this name where Python finds it first; its text is of the operators."""

    def install(text: str) -> None:
        package = tmp_path / 'deformops'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'registry.py').write_text(text)

    monkeypatch.syspath_prepend(tmp_path)
    for name in _loaded_parts():  # of a real one
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sampling_operators, 'DEFORMOPS_OLDEST_PYTHON', (3, 0))
    monkeypatch.setattr(deformable_sampling, 'missing_reason', lambda: 'mmcv has none')
    deformops_missing_reason.cache_clear()
    yield install
    for name in _loaded_parts():
        del sys.modules[name]
    deformops_missing_reason.cache_clear()


def test_one_that_loads_is_taken(install_deformops):
    install_deformops('def msda(*arguments): ...\n')
    assert deformops_missing_reason() is None
    assert choose_backend('cuda', torch.bfloat16) == ('deformops', 'its kernels for this GPU')


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('def msda(:\n', 'SyntaxError: invalid syntax'),
        ("raise ImportError('undefined symbol: _ZN2at')\n", 'ImportError: undefined symbol'),
        ("raise OSError('libcudart.so.13: cannot open')\n", 'OSError: libcudart.so.13'),
        ('sample = None\n', "ImportError: cannot import name 'msda'"),
    ],
)
def test_one_that_does_not_load_is_passed_over_with_its_reason(install_deformops, text, reason):
    install_deformops(text)
    backend, why = choose_backend('cuda', torch.bfloat16)
    assert backend == 'torch'
    assert f'deformops does not load ({reason}' in why
    with pytest.raises(MissingOperatorError, match=r'deformops does not load .*pip uninstall'):
        check_backend('deformops')


def test_one_for_a_newer_torch_is_passed_over(install_deformops, monkeypatch):
    install_deformops('def msda(*arguments): ...\n')
    monkeypatch.setattr(torch, '__version__', '2.10.1+cu128')
    backend, why = choose_backend('cuda', torch.bfloat16)
    assert backend == 'torch'
    assert 'deformops needs torch 2.11 or newer, this is 2.10.1+cu128' in why
