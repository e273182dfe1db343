"""Run the converters' commands and read their output with the project's own reader."""

import runpy
import sys
from pathlib import Path

import pytest
from converter_sources import LENGTH, write_davis, write_frames

from axialvs.datasets.annotations.youtube_vis import VideoAnnotations, read_annotations

TOOLS = Path(__file__).parents[3] / 'tools' / 'dataset_converters'


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """Run a converter with --out and return the file's content, or None if none is written."""

    def run(name: str, *arguments) -> VideoAnnotations:
        out = tmp_path / 'out.json'
        command = [str(TOOLS / f'{name}_to_youtube_vis.py'), *map(str, arguments)]
        monkeypatch.setattr(sys, 'argv', [*command, '--out', str(out), '--overwrite'])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(command[0], run_name='__main__')
        assert not list(tmp_path.glob('out.json.*'))
        return read_annotations(out) if caught.value.code == 0 else None

    return run


@pytest.fixture
def refuse(convert, capsys):
    """Return the one-line error of a converter that rejects its source and writes nothing."""

    def run(*arguments) -> str:
        capsys.readouterr()
        assert convert(*arguments) is None
        return capsys.readouterr().err.split('error: ')[1].strip()

    return run


@pytest.fixture
def davis(tmp_path):
    """Return a folder with frames and masks in the layout of DAVIS."""
    write_davis(tmp_path)
    return tmp_path


@pytest.fixture
def task(tmp_path):
    """Write an export of CVAT and its frames and return the command's arguments."""
    write_frames(tmp_path / 'images', [f'frame_{frame:06d}.png' for frame in range(LENGTH)])

    def write(text: str):
        (tmp_path / 'annotations.xml').write_text(text)
        return 'cvat', tmp_path / 'annotations.xml', '--images', tmp_path / 'images'

    return write
