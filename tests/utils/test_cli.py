"""Exit of commands: one line for user errors, a traceback for others."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from axialvs.utils.cli import ConfigOptions, number_from, run_command
from axialvs.utils.errors import AxialVSError


class ClipError(AxialVSError):
    """A subclass of the user error."""


@pytest.fixture(autouse=True)
def _as_a_tool(monkeypatch):
    monkeypatch.delenv('AXIALVS_TRACEBACK', raising=False)
    monkeypatch.setattr(sys, 'argv', ['/somewhere/tool.py'])


def raising(error):
    def main():
        raise error

    return main


def test_exit_codes():
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 1) == 1
    assert run_command(raising(KeyboardInterrupt())) == 130


@pytest.mark.parametrize('text', ['nan', 'inf', '-0.1', '1e30', 'x', ''])
def test_numbers_out_of_range(text, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--share', type=number_from(0, 1, float))
    assert parser.parse_args(['--share', '1']).share == 1
    with pytest.raises(SystemExit):
        parser.parse_args([f'--share={text}'])
    message = capsys.readouterr().err
    assert 'argument --share: ' in message
    assert text in message


def test_closed_output_pipe():
    code = (
        'import sys; from axialvs.utils.cli import run_command; '
        'sys.exit(run_command(lambda: print("x" * 100_000)))'
    )
    options = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with subprocess.Popen([sys.executable, '-c', code], **options) as process:
        process.stdout.close()
        assert not process.stderr.read()
    assert process.returncode == 141


def test_user_errors_are_one_line(capsys):
    assert run_command(raising(ClipError('clip 3: is empty'))) == 2
    assert capsys.readouterr().err == 'tool.py: error: clip 3: is empty\n'


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv('AXIALVS_TRACEBACK', '1')
    with pytest.raises(ClipError):
        run_command(raising(ClipError('x')))


@pytest.mark.parametrize('error', [ValueError('x'), RuntimeError('x'), KeyError('x')])
def test_bugs_have_a_traceback(error):
    """This includes bugs in code of the package."""
    with pytest.raises(type(error)):
        run_command(raising(error))


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs a device that is always full')
def test_full_disk_is_one_line(capsys):
    assert run_command(lambda: Path('/dev/full').write_text('x') and None) == 2
    assert capsys.readouterr().err == 'tool.py: error: No space left on device\n'


def test_system_error_names_the_file(capsys):
    assert run_command(lambda: Path('/no/such/file').read_text() and None) == 2
    assert '/no/such/file' in capsys.readouterr().err


class Broken(Dataset):
    """A dataset that raises an error in a loader worker."""

    def __init__(self, error) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int):
        raise self.error


def test_error_of_a_loader_worker_is_one_line(capsys):
    loader = DataLoader(Broken(ClipError('clip 3: is empty')), num_workers=1)
    assert run_command(lambda: list(loader) and None) == 2
    assert capsys.readouterr().err == 'tool.py: error: clip 3: is empty\n'


def test_bug_in_a_loader_worker_has_a_traceback():
    loader = DataLoader(Broken(IndexError('x')), num_workers=1)
    with pytest.raises(IndexError, match='Original Traceback'):
        run_command(lambda: list(loader) and None)


def parse(*options):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions)
    return parser.parse_args(['--cfg-options', *options]).cfg_options


@pytest.mark.parametrize(
    'text',
    [
        *('1', '-2.5', '1e-4', 'true', 'False', 'None', 'none', 'a/b.pth', '', 'http://x/y(1).pth'),
        *('1,2,3', '[a,b]', '(1,2)', 'a,b', '[(1, 2, 3), [a, b], c]', '[]', "['a','b']", '[1,]'),
    ],
)
def test_config_options_match_mmengine(text):
    from mmengine.config import DictAction

    value = parse(f'key={text}')['key']
    expected = DictAction._parse_iterable(text)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('my runs (new)/1', 'my runs (new)/1'),
        ('[polar bear, "a, b", (1, 2)]', ['polar bear', 'a, b', (1, 2)]),
        ("[{'type': 'X', 'leave_out': ['a']}]", [{'type': 'X', 'leave_out': ['a']}]),
        ("'1'", '1'),
    ],
)
def test_config_options_that_mmengine_misreads(text, value):
    assert parse(f'key={text}') == {'key': value}


@pytest.mark.parametrize(
    'text',
    [
        'key',
        '=1',
        'a..b=1',
        "k=[dict(type='X', leave_out=['a'])]",
        'k=[a, b',
        'k=a,b]',
        "k=dict(type='X')",
    ],
)
def test_error_names_invalid_config_options(text, capsys):
    with pytest.raises(SystemExit) as end:
        parse(text)
    assert end.value.code == 2
    assert text in capsys.readouterr().err
