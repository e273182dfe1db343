"""The demo prints commands that its user can run."""

import re
import shutil
from pathlib import Path

import pytest

from axialvs.__main__ import COMMANDS

DEMO = Path(__file__).parents[2] / 'tools' / 'demo.py'


@pytest.mark.parametrize(
    ('folder', 'command'),
    [('.mim', 'axialvs generate'), ('checkout', 'python tools/dataset_converters/generate')],
)
def test_printed_commands_match_the_installation(run_tool, tmp_path, capfd, folder, command):
    installed = tmp_path / folder / 'tools' / 'demo.py'
    installed.parent.mkdir(parents=True)
    shutil.copy(DEMO, installed)  # without other files, so that the first step fails
    assert run_tool(installed, '--out', tmp_path / 'out') == 2
    assert f'$ {command}' in capfd.readouterr().out


def test_every_step_is_a_command():
    scripts = set(re.findall(r"'([\w/]+\.py)'", DEMO.read_text()))
    assert {'train.py', 'test.py', 'segment_video.py'} <= scripts
    assert scripts <= {script for script, _ in COMMANDS.values()}
