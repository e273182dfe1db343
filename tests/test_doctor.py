"""Tests of the doctor: what it sees here, and what it says of broken installations."""

import subprocess
import sys
from importlib import metadata

import pytest
import torch

from axialvs import doctor
from axialvs.doctor import Finding
from axialvs.utils import mmcv_ops


def test_this_installation_is_usable(tmp_path):
    result = subprocess.run(
        [sys.executable, '-m', 'axialvs.doctor'], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.rstrip().endswith('axialvs can be used.')
    for line in (
        f'torch  *{torch.__version__}',
        f'onedl-mmcv  *{metadata.version("onedl-mmcv")}',
        'deformable attention, cpu float32  *the path in PyTorch',
        'OpenCV build',
    ):
        assert any(_fits(line, printed) for printed in result.stdout.splitlines()), line


def _fits(pattern: str, line: str) -> bool:
    subject, _, value = pattern.partition('  *')
    return line.startswith(subject) and value in line


@pytest.fixture
def module_that_fails(tmp_path, monkeypatch):
    def make(name: str, body: str) -> str:
        (tmp_path / f'{name}.py').write_text(body)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return make


def test_missing_library_names_the_command():
    finding = doctor.examine_library('some-package', 'no_such_module')
    assert finding == Finding('some-package', 'not installed', 'pip install some-package', True)


def test_missing_dependency_of_a_library_is_told_apart(module_that_fails):
    name = module_that_fails('needs_more', 'import no_such_module')
    finding = doctor.examine_library('needs-more', name)
    assert finding.value == 'lacks no_such_module'
    assert finding.mend == 'pip install no_such_module'
    assert finding.is_fatal


def test_missing_display_library_is_mended_by_the_headless_build(module_that_fails, monkeypatch):
    message = 'libGL.so.1: cannot open shared object file'
    module_that_fails('cv2', f'raise ImportError({message!r})')
    monkeypatch.delitem(sys.modules, 'cv2', raising=False)
    finding = doctor.examine_library('opencv-python-headless', 'cv2')
    assert finding.value == f'cannot be imported: {message}'
    assert finding.mend == doctor.HEADLESS_OPENCV
    assert finding.is_fatal


@pytest.mark.parametrize(('gui', 'mended'), [('NONE', False), ('QT5', True)])
def test_opencv_with_windows_is_pointed_out(monkeypatch, gui, mended):
    import cv2

    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: f'Video:\n  GUI:     {gui}\n')
    finding = doctor.examine_opencv()
    assert (finding.mend is not None) == mended
    assert not finding.is_fatal


def test_original_libraries_beside_the_forks_are_fatal(monkeypatch):
    monkeypatch.setattr(doctor, '_installed_version', {'mmcv-full': '1.6.1'}.get)
    (finding,) = doctor.examine_rivals()
    assert finding.is_fatal
    assert 'mmcv-full' in finding.value
    assert finding.mend.startswith('pip uninstall mmcv-full')


@pytest.mark.parametrize('has_gpu', [True, False])
def test_missing_operators_matter_with_a_gpu_only(monkeypatch, has_gpu):
    monkeypatch.setattr(mmcv_ops, 'missing_reason', lambda: 'mmcv has none')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    finding = doctor.examine_operators()
    assert 'mmcv has none' in finding.value
    assert finding.mend == (mmcv_ops.INSTALL_COMMAND if has_gpu else None)


def test_failing_examination_is_a_finding():
    finding = doctor._guarded('part', lambda: 1 / 0)
    assert finding.value == 'ZeroDivisionError: division by zero'
    assert finding.is_fatal


def test_report_and_exit_code_follow_the_findings(monkeypatch, capsys):
    findings = [Finding('a', 'good'), Finding('longer', 'bad', 'do this', is_fatal=True)]
    monkeypatch.setattr(doctor, 'examine', lambda: findings)
    assert doctor.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        'a       good',
        'longer  bad',
        '',
        'To mend:',
        '  longer: do this',
        '',
        'axialvs cannot be used yet.',
    ]
    findings[1] = Finding('longer', 'so so', 'do this')
    assert doctor.main() == 0
    assert 'axialvs can be used.' in capsys.readouterr().out
