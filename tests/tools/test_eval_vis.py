"""The command eval_vis.py: metrics from two files, and one line for bad input."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / 'tests' / 'data' / 'parity' / 'youtube_vis_ap.json'


@pytest.fixture(scope='module')
def case():
    return json.loads(FIXTURE.read_text())


@pytest.fixture
def files(case, tmp_path):
    paths = tmp_path / 'gt.json', tmp_path / 'results.json'
    for path, key in zip(paths, ('ground_truth', 'results'), strict=True):
        path.write_text(json.dumps(case[key]))
    return [str(path) for path in paths]


@pytest.fixture
def eval_vis(run_tool):
    return functools.partial(run_tool, 'eval_vis.py')


def test_metrics(eval_vis, files, case, tmp_path, capsys):
    out = tmp_path / 'new' / 'metrics.json'
    assert eval_vis(*files, '--out', out) == 0
    assert json.loads(out.read_text()) == pytest.approx(case['expected'], abs=1e-9, rel=0)
    table = capsys.readouterr().out.split()
    for name, value in case['expected'].items():
        assert table[table.index(name) + 1] == f'{value:.4f}'


def test_per_class_and_per_video(eval_vis, files, case, tmp_path, capsys):
    out = tmp_path / 'metrics.json'
    assert eval_vis(*files, '--out', out, '--per-class', '--per-video') == 0
    metrics = json.loads(out.read_text())
    gt = case['ground_truth']
    assert metrics['per_class'].keys() == {category['name'] for category in gt['categories']}
    assert metrics['per_video'].keys() == {str(video['id']) for video in gt['videos']}
    # Video 13 has no objects to score.
    assert [line.split() for line in capsys.readouterr().out.splitlines()].count(
        ['13', '-', '-', '0', '0', '0', '0']
    ) == 1


def test_tracks_of_segment_video(eval_vis, files, case, tmp_path):
    entries = [entry for entry in case['results'] if entry['video_id'] == 4]
    tracks = tmp_path / 'tracks.json'
    tracks.write_text(json.dumps({'video': {}, 'categories': [], 'tracks': entries}))
    one, all_videos = tmp_path / 'one.json', tmp_path / 'all.json'
    assert eval_vis(files[0], tracks, '--video-id', 4, '--out', one) == 0
    assert eval_vis(*files, '--per-video', '--out', all_videos) == 0
    of_video = json.loads(all_videos.read_text())['per_video']['4']
    assert json.loads(one.read_text())['AP'] == of_video['AP'] > 0


def test_short_and_long_videos(eval_vis, case, tmp_path, capsys):
    """One results file and two ground truth files, as for YouTube-VIS 2022."""
    gt, long_ids = case['ground_truth'], {3, 4, 7}
    results = tmp_path / 'results.json'
    results.write_text(json.dumps(case['results']))
    expected, paths = {}, {}
    for name in ('short', 'long'):
        part = {
            **gt,
            'videos': [v for v in gt['videos'] if (v['id'] in long_ids) == (name == 'long')],
            'annotations': [
                a for a in gt['annotations'] if (a['video_id'] in long_ids) == (name == 'long')
            ],
        }
        ids = {video['id'] for video in part['videos']}
        own = tmp_path / f'own_{name}.json'
        own.write_text(json.dumps([e for e in case['results'] if e['video_id'] in ids]))
        paths[name] = tmp_path / f'gt_{name}.json'
        paths[name].write_text(json.dumps(part))
        assert eval_vis(paths[name], own, '--out', tmp_path / 'own.json') == 0
        metrics = json.loads((tmp_path / 'own.json').read_text())
        expected |= {f'{figure}_{name}': value for figure, value in metrics.items()}
    expected['AP_all'] = (expected['AP_short'] + expected['AP_long']) / 2
    out = tmp_path / 'both.json'
    arguments = (paths['short'], results, '--long', paths['long'])
    capsys.readouterr()
    assert eval_vis(*arguments, '--out', out) == 0
    assert json.loads(out.read_text()) == pytest.approx(expected)
    text = capsys.readouterr().out
    assert f'AP_all    {expected["AP_all"]:.4f}' in text
    assert '3 long videos' in text
    assert eval_vis(*arguments, '--video-id', 3) == 2
    assert '--long' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda gt, results: gt.unlink(), 'gt.json: no such annotation file'),
        (lambda gt, results: results.unlink(), 'results.json: no such results file'),
        (lambda gt, results: results.write_text('{'), 'results.json: not valid JSON'),
        (lambda gt, results: gt.write_text('[]'), 'gt.json: [] is not a JSON object'),
        (
            lambda gt, results: results.write_text('[{"video_id": 99}]'),
            "results.json: entry 0: field 'category_id' is missing",
        ),
    ],
)
def test_bad_input_is_one_line(eval_vis, files, tmp_path, capsys, change, message):
    change(tmp_path / 'gt.json', tmp_path / 'results.json')
    out = tmp_path / 'metrics.json'
    assert eval_vis(*files, '--out', out) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith('eval_vis.py: error: ')
    assert message in errors[0]
    assert not out.exists()


def test_absurd_sizes_are_one_line(eval_vis, case, files, capsys):
    """A polygon in a video of 10^16 pixels used to crash the process with SIGSEGV."""
    gt = json.loads(Path(files[0]).read_text())
    for record in (*gt['videos'], *gt['annotations']):
        record |= {'width': 10**8, 'height': 10**8}
    for annotation in gt['annotations']:
        polygon = [[1.0, 1.0, 9e7, 1.0, 9e7, 9e7]]
        annotation['segmentations'] = [polygon for _ in annotation['segmentations']]
    Path(files[0]).write_text(json.dumps(gt))
    assert eval_vis(*files) == 2
    assert str(10**8) in capsys.readouterr().err


def test_imports_neither_torch_nor_openmmlab(files):
    code = (
        'import runpy, sys\n'
        f'sys.argv = {["eval_vis.py", *files]!r}\n'
        'try:\n'
        f'    runpy.run_path({str(ROOT / "tools" / "eval_vis.py")!r}, run_name="__main__")\n'
        'except SystemExit as end:\n'
        '    assert not end.code\n'
        'heavy = {"torch", "mmengine", "mmcv", "mmdet", "cv2"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    environment = {**os.environ, 'PYTHONPATH': str(ROOT / 'projects')}
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_tracking(eval_vis, files, tmp_path, capsys):
    expected = json.loads((FIXTURE.parent / 'tracking_scores.json').read_text())
    out = tmp_path / 'metrics.json'
    assert eval_vis(*files, '--tracking', '--per-class', '--out', out) == 0
    metrics = json.loads(out.read_text())
    assert metrics.pop('per_class')['c7'] == pytest.approx(expected['c7'], abs=1e-9)
    assert metrics == pytest.approx(expected['cls_comb_cls_av'], abs=1e-9)
    assert 'HOTA' in capsys.readouterr().out


def test_davis(eval_vis, files, tmp_path):
    out = tmp_path / 'metrics.json'
    assert eval_vis(*files, '--davis', '--out', out) == 0
    metrics = json.loads(out.read_text())
    assert 0 < metrics['J'] < 1
    assert metrics['J&F'] == pytest.approx((metrics['J'] + metrics['F']) / 2)
    assert eval_vis(*files, '--davis', '--tracking') == 2
