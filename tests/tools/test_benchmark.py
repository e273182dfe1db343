"""The benchmark tool on models and shapes of a few pixels."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/benchmark.py'
TINY = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes'
PLAIN = 'tube_link/tube-link_tiny_1xb4-10k_movingshapes'


def benchmark(*arguments):
    command = [sys.executable, TOOL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_gpu_command_in_its_small_form(tmp_path):
    out = tmp_path / 'gpu.md'
    done = benchmark('gpu', '--small', '--device', 'cpu', '--out', out)
    assert done.returncode == 0, done.stdout
    assert out.read_text() in done.stdout.replace('\n\n\n', '\n\n')
    tables = json.loads(out.with_suffix('.json').read_text())
    errors = next(rows for title, rows in tables.items() if 'relative errors' in title)
    bounds = {'float32': 1e-5, 'float16': 2e-2, 'bfloat16': 2e-2}
    assert {row['dtype'] for row in errors} == set(bounds)
    for row in errors:
        assert max(row['output'], row['worst gradient']) < bounds[row['dtype']]
    plain, tracked = tables['what the within-clip module adds to Tube-Link']
    assert plain['time, times the first'] == plain['memory, times the first'] == 1
    assert tracked['weights, MiB'] > plain['weights, MiB']
    (video,) = tables['videos, from files to masks of tracks']
    assert video['frames'] == 6
    assert video['tracks'] > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'COMMAND'),
        (['model'], 'CONFIG'),
        (['model', TINY, '--sizes', '64'], "'64' is not HxW"),
        (['model', TINY, '--frames', '0'], "'0' is not a positive integer"),
    ],
)
def test_wrong_options(arguments, message):
    done = benchmark(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
