"""The command count_id_switches.py on tracks with known switches."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

SIZE = (8, 8)
FRAMES = 4


def code() -> dict:
    mask = np.zeros(SIZE, np.uint8, order='F')
    mask[2:6, 2:6] = 1
    rle = coco_mask.encode(mask)
    return {'size': list(SIZE), 'counts': rle['counts'].decode()}


def track(score: float, frames: range) -> dict:
    segmentations = [code() if i in frames else None for i in range(FRAMES)]
    return dict(video_id=1, category_id=1, score=score, segmentations=segmentations)


@pytest.fixture
def files(tmp_path) -> list[str]:
    height, width = SIZE
    names = [f'v/{i}.jpg' for i in range(FRAMES)]
    gt = dict(
        categories=[dict(id=1, name='box')],
        videos=[dict(id=1, height=height, width=width, length=FRAMES, file_names=names)],
        annotations=[dict(id=1, video_id=1, category_id=1, segmentations=[code()] * FRAMES)],
    )
    results = [track(0.9, range(0, 2)), track(0.4, range(2, 4))]
    paths = [tmp_path / 'gt.json', tmp_path / 'model.json']
    for path, content in zip(paths, (gt, results), strict=True):
        path.write_text(json.dumps(content))
    return [str(path) for path in paths]


@pytest.fixture
def count(run_tool):
    return functools.partial(run_tool, 'analysis_tools/count_id_switches.py')


def test_tracks_below_the_score_threshold_are_ignored(count, files, capsys):
    assert count(*files, '--min-score', '0.1', '0.5') == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows == [
        '| model | 0.1 | 1 | 4 of 4 (100.0%) | 250.0 |',
        '| model | 0.5 | 0 | 2 of 4 (50.0%) | 0.0 |',
    ]


def test_missing_file_is_one_line(count, files, capsys):
    assert count(files[0], 'nowhere.json') != 0
    assert 'nowhere.json' in capsys.readouterr().err


def test_tracks_of_one_video_need_a_single_video(count, files, tmp_path, capsys):
    """The message must not suggest options that this command lacks."""
    gt = json.loads(Path(files[0]).read_text())
    gt['videos'].append(gt['videos'][0] | {'id': 2})
    Path(files[0]).write_text(json.dumps(gt))
    tracks = tmp_path / 'tracks.json'
    tracks.write_text(json.dumps({'tracks': []}))
    assert count(files[0], tracks) == 2
    error = capsys.readouterr().err
    assert '--video-id of eval_vis.py' in error
