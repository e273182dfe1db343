"""Tests of the command `axialvs`."""

import subprocess
import sys

import pytest

from axialvs import __main__ as command
from axialvs.checkpoints.hub import CHECKPOINTS
from axialvs.utils.config_files import find_tool


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process and return exit code, output and errors."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['axialvs', *arguments])
        try:
            code = command.main()
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return run_command


@pytest.mark.parametrize('name', [x for x, (script, _) in command.COMMANDS.items() if script])
def test_every_command_has_a_script(name):
    assert find_tool(command.COMMANDS[name][0]).suffix == '.py'


def test_help_lists_all_commands(run):
    code, out, _ = run('--help')
    assert code == 0
    assert all(f'\n  {name} ' in out for name in command.COMMANDS)


def test_help_imports_only_what_it_needs():
    code = (
        'import sys, axialvs.__main__ as command; sys.argv = ["axialvs", "--help"]; '
        'command.main(); assert not {"torch", "numpy", "cv2", "mmengine"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


def test_outputs_import_without_registration():
    """mmdet.models cannot be imported before axialvs.register; other tests have imported it."""
    code = 'import sys, axialvs.inference.outputs; assert "mmdet.models" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


@pytest.mark.parametrize('name', ['segment', 'eval vis', 'generate'])
def test_command_is_called_by_name(run, name):
    code, out, _ = run(*name.split(), '--help')
    assert code == 0
    assert out.startswith(f'usage: axialvs {name} ')


@pytest.mark.parametrize('text', [None, 'tiny'])
def test_models_are_listed(run, text):
    code, out, _ = run('models', *filter(None, [text]))
    assert code == 0
    listed = {line.split()[0] for line in out.splitlines() if line.startswith(' ')}
    assert listed == {name for name in CHECKPOINTS if (text or '') in name}


def test_arguments_and_exit_codes_are_passed_through(run, tmp_path):
    missing = str(tmp_path / 'missing.json')
    code, _, errors = run('eval', 'vis', missing, missing)
    assert code == 2
    assert errors.startswith('axialvs eval vis: error: ')
    assert missing in errors


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(['segmnt'], "'segmnt'"), (['convert'], 'release, masks'), (['eval', 'x'], 'vis, vps')],
)
def test_unknown_commands(run, arguments, message):
    code, out, errors = run(*arguments)
    assert code == 2
    assert message in errors
    assert not out
