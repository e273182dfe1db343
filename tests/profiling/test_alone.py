"""Cases of a command in processes of their own: what they find out, and what they fail of."""

import sys

import pytest

from axialvs.profiling.alone import run_alone


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Makes this process one that was started as a command with this code."""

    def start(code: str, *arguments: str) -> None:
        path = tmp_path / 'tool.py'
        path.write_text(f'import json, os, sys\n{code}')
        monkeypatch.setattr(sys, 'argv', [str(path), *arguments])

    return start


def test_arguments_variables_and_the_last_line(command):
    command(
        "print('a notice')\nprint(json.dumps([*sys.argv[1:], os.environ.get('COLOUR')]))", 'CONFIG'
    )
    assert run_alone('red', ['--one', 7], {'COLOUR': 'red'}) == ['CONFIG', '--one', '7', 'red']
    assert run_alone('none', []) == ['CONFIG', None]


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        (
            "print('a warning', file=sys.stderr)\nsys.exit('tool.py: error: no.mp4: no video')",
            r'^4 frames: no\.mp4: no video$',
        ),
        ('[][0]', r'(?s)^4 frames: Traceback.*IndexError: list index out of range$'),
        ('sys.exit(3)', '^4 frames: exit status 3$'),
        ('os.kill(os.getpid(), 9)', '^4 frames: ended by signal 9, which a lack of memory may be'),
    ],
)
def test_an_error_is_handed_on(command, code, message):
    command(code)
    with pytest.raises(ValueError, match=message):
        run_alone('4 frames', [])
