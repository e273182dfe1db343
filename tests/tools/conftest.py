"""Shared fixtures of the command tests."""

import resource
import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def run_tool(monkeypatch):
    """Run a command of tools/ in this process and return its exit status."""

    def run(name: str, *arguments) -> int:
        tool = str(TOOLS / name)
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(tool, run_name='__main__')
        return caught.value.code

    return run


@pytest.fixture
def limit_file_size():
    """Return a function that limits the file size until the test ends, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
