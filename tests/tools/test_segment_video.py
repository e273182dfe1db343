"""The command segment_video.py, offline: its options reach the model."""

import json
from pathlib import Path

import pytest
import torch

from axialvs.apis import init_segmenter, segment_video
from generated_videos import frame_folders, write_videos

ROOT = Path(__file__).parents[2]
MODEL = {
    'config': ROOT / 'configs' / 'axialvs' / 'axialvs-cc_tiny_1xb2-400_movingshapes.py',
    'checkpoint': ROOT / 'weights' / 'axialvs-cc_tiny_movingshapes.pth',
}
NUM_FRAMES = 15  # five clips


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    split = write_videos(tmp_path_factory.mktemp('videos') / 'valid', [NUM_FRAMES], seed=1)
    return frame_folders(split)[0]


@pytest.fixture
def tracks(run_tool, folder, tmp_path):
    """Class, score and masks of each track that the command writes."""

    def run(*options) -> list[tuple]:
        out = tmp_path / 'tracks.json'
        model = (f'--{name}={path}' for name, path in MODEL.items())
        options = ('--mode', 'offline', *options)
        assert run_tool('segment_video.py', folder, *model, '--json', out, *options) == 0
        content = json.loads(out.read_text())
        assert content['video']['length'] == NUM_FRAMES
        return [(x['category_id'], x['score'], x['segmentations']) for x in content['tracks']]

    return run


def expected(folder, **settings):
    """What the Python function gives with such a `test_cfg`."""
    model = init_segmenter(MODEL['config'], MODEL['checkpoint'])
    protocol = settings.pop('protocol')
    model.test_cfg.update(settings)
    found = segment_video(model, folder, mode='offline', protocol=protocol).tracks()
    return [(model.category_ids[x.label], x.score, x.segmentations) for x in found]


def test_window(tracks, folder):
    small = tracks('--protocol', 'live', '--window', 2, '--window-overlap', 1)
    window = dict(num_clips=2, overlap=1)
    assert small == expected(folder, protocol='live', window=window)
    assert small != tracks('--protocol', 'live')  # all five clips at once


def test_features_that_wait_in_a_file(tracks, folder):
    whole = expected(folder, protocol='scored')
    assert tracks('--feature-memory', 0) == whole
    half = tracks('--half-features')
    assert [x[0] for x in half] == [x[0] for x in whole]
    assert [x[1] for x in half] == pytest.approx([x[1] for x in whole], abs=1e-2)


def test_mixed_precision(tracks, folder):
    """Near-online in one run of the command: other scores than in float32, but not by much."""
    whole = tracks('--mode', 'near-online')
    low = tracks('--mode', 'near-online', '--amp', 'bfloat16')
    assert [x[1] for x in low] != [x[1] for x in whole]
    best, best_low = (max(found, key=lambda x: x[1]) for found in (whole, low))
    assert best_low[1] == pytest.approx(best[1], abs=0.05)
    assert tracks('--amp', 'bfloat16') != expected(folder, protocol='scored')  # offline runs too


@pytest.mark.parametrize('machine_has_gpu', [False, True])
def test_half_precision_that_the_device_does_not_have(
    run_tool, folder, capsys, monkeypatch, machine_has_gpu
):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: machine_has_gpu)
    options = ('--json', 'x.json', '--amp', 'float16', '--device', 'cpu')
    assert run_tool('segment_video.py', folder, *options) == 1
    assert 'float16 needs a GPU and this runs on cpu' in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='speaks of a GPU that is not there')
def test_the_default_device_is_a_gpu_where_torch_sees_one(run_tool, folder, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert run_tool('segment_video.py', folder, '--json', 'x.json') == 1
    assert 'device cuda is not here' in capsys.readouterr().err


@pytest.mark.parametrize('options', [(), ('--mode', 'offline')])
def test_a_window_where_there_is_none(run_tool, folder, capsys, options):
    code = run_tool('segment_video.py', folder, '--json', 'x.json', '--window', 4, *options)
    assert code == 2
    assert '--mode offline --protocol live' in capsys.readouterr().err
