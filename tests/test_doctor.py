"""Tests of the environment report, for this and for broken installations."""

import subprocess
import sys

import pytest
import torch

from axialvs import doctor
from axialvs.doctor import Finding
from axialvs.utils import mmcv_ops


def test_this_installation_is_usable(tmp_path):
    command = [sys.executable, '-m', 'axialvs.doctor']
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.rstrip().endswith('axialvs can be used.')
    subjects = ('torch', 'onedl-mmcv', 'OpenCV build', 'deformable attention, cpu float32')
    for subject in subjects:
        assert any(line.startswith(subject) for line in result.stdout.splitlines()), subject
    assert torch.__version__ in result.stdout


@pytest.fixture
def broken_module(tmp_path, monkeypatch):
    def make(name: str, body: str) -> str:
        (tmp_path / f'{name}.py').write_text(body)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return make


def test_missing_library_error_names_the_command():
    finding = doctor.check_library('some-package', 'no_such_module')
    assert finding == Finding('some-package', 'not installed', 'pip install some-package', True)


def test_missing_dependency_of_a_library_is_named(broken_module):
    name = broken_module('needs_more', 'import no_such_module')
    finding = doctor.check_library('needs-more', name)
    assert (finding.fix, finding.is_fatal) == ('pip install no_such_module', True)


def test_headless_build_is_suggested_for_a_missing_display(broken_module, monkeypatch):
    broken_module('cv2', "raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, 'cv2', raising=False)
    finding = doctor.check_library('opencv-python-headless', 'cv2')
    assert 'libGL.so.1' in finding.value
    assert (finding.fix, finding.is_fatal) == (doctor.HEADLESS_OPENCV, True)


@pytest.mark.parametrize(('gui', 'has_fix'), [('NONE', False), ('QT5', True)])
def test_opencv_with_windows_has_a_fix(monkeypatch, gui, has_fix):
    import cv2

    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: f'Video:\n  GUI:     {gui}\n')
    (finding,) = doctor.check_opencv()
    assert (finding.fix is not None, finding.is_fatal) == (has_fix, False)


def test_conflicting_original_packages_are_fatal(monkeypatch):
    monkeypatch.setattr(doctor, '_version', {'mmcv-full': '1.6.1'}.get)
    (finding,) = doctor.check_originals()
    assert finding.is_fatal
    assert finding.fix.startswith('pip uninstall mmcv-full')


@pytest.mark.parametrize('has_gpu', [True, False])
def test_missing_operators_are_reported_with_a_gpu_only(monkeypatch, has_gpu):
    monkeypatch.setattr(mmcv_ops, 'missing_reason', lambda: 'mmcv has none')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    (finding,) = doctor.check_operators()
    assert finding.fix == (mmcv_ops.INSTALL_COMMAND if has_gpu else None)


def test_failing_check_is_reported():
    def check_part():
        yield Finding('a', 'fine')
        raise ZeroDivisionError

    (finding,) = doctor._guarded(check_part)
    assert finding.value.startswith('ZeroDivisionError')
    assert finding.is_fatal


def test_report_and_exit_code(monkeypatch, capsys):
    findings = [Finding('a', 'good'), Finding('longer', 'bad', 'do this', is_fatal=True)]
    monkeypatch.setattr(doctor, 'examine', lambda: findings)
    assert doctor.main() == 1
    output = capsys.readouterr().out
    assert 'longer: do this' in output
    assert output.endswith('axialvs cannot be used.\n')
    findings[1] = Finding('longer', 'so so', 'do this')
    assert doctor.main() == 0
    assert 'axialvs can be used.' in capsys.readouterr().out
