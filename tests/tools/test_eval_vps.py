"""The command eval_vps.py: metrics from files, a table, and one line for bad input."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PARTS = '', '_thing', '_stuff'
AVERAGES = [f'vpq{window}{part}' for window in ('', 1, 2, 4, 6) for part in PARTS]


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Write a thing and stuff in seven frames; the prediction misses a row of the thing."""
    arguments = []
    for side, top in (('gt', 2), ('pred', 3)):
        folder = tmp_path / side
        (folder / 'v').mkdir(parents=True)
        ids = np.full((8, 6), 9)
        ids[top:] = 70_000
        colors = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
        frames = []
        for frame in range(7):
            Image.fromarray(colors).save(folder / 'v' / f'{frame}.png')
            segments = [{'id': 9, 'category_id': 1}, {'id': 70_000, 'category_id': 2}]
            frames.append({'file_name': f'{frame}.png', 'segments_info': segments})
        content = {
            'categories': [
                {'id': 1, 'name': 'sky', 'isthing': 0},
                {'id': 2, 'name': 'cat', 'isthing': 1},
            ],
            'annotations': [{'video_id': 'v', 'annotations': frames}],
        }
        path = tmp_path / f'{side}.json'
        path.write_text(json.dumps(content))
        arguments += [f'--{side}-json', str(path), f'--{side}-dir', str(folder)]
    return arguments


@pytest.fixture
def eval_vps(run_tool):
    return functools.partial(run_tool, 'eval_vps.py')


def test_metrics(eval_vps, files, tmp_path, capsys):
    out = tmp_path / 'new' / 'metrics.json'
    assert eval_vps(*files, '--out', out) == 0
    metrics = json.loads(out.read_text())
    assert list(metrics) == [*AVERAGES, 'stq', 'aq', 'sq']
    thing, stuff = 500 / 6, 200 / 3
    assert metrics['vpq6_thing'] == metrics['vpq_thing'] == pytest.approx(thing)
    assert metrics['vpq_stuff'] == pytest.approx(stuff)
    assert metrics['vpq'] == metrics['sq'] == pytest.approx((thing + stuff) / 2)
    assert metrics['aq'] == pytest.approx(100 * (5 / 6) ** 2)
    assert metrics['stq'] == pytest.approx((metrics['aq'] * metrics['sq']) ** 0.5)
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['vpq4', '75.0000', '83.3333', '66.6667'] in table
    assert ['sq', '75.0000'] in table


def test_bad_input_is_one_line(eval_vps, files, tmp_path, capsys):
    (tmp_path / 'pred' / 'v' / '3.png').unlink()
    out = tmp_path / 'metrics.json'
    assert eval_vps(*files, '--out', out) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'eval_vps.py: error:' in error
    assert '3.png: no such file; it is frame 3.png of video v' in error
    assert not out.exists()
