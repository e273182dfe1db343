"""The benchmark's two sides agree on what it generates."""

import runpy
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'benchmark_evaluation.py'


def test_small_benchmark(monkeypatch, capsys):
    sizes = {'videos': 3, 'tracks': 5, 'frames': 4, 'classes': 2, 'rounds': 1}
    options = [f'--{name}={value}' for name, value in sizes.items()]
    options += ['--size', '300', '400']
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *options])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert caught.value.code == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (precision,) = [line for line in lines if line[:1] == ['AP50']]
    assert precision[1] == precision[2]
    assert 0 < float(precision[1]) < 1
