"""The command segment_video.py with a panoptic model of random weights: things and stuff."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from axialvs.apis import init_segmenter, segment_video
from axialvs.datasets.annotations.panoptic import read_ids
from axialvs.datasets.moving_shapes import generate_dataset, get_level
from tiny_segmenter import randomize

CONFIG = (
    Path(__file__).parents[2]
    / 'configs/axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py'
)
NUM_FRAMES, NUM_THINGS = 6, 5
# Low enough to keep predictions of random weights.
THRESHOLDS = dict(pixel=0.05, thing=0.0, stuff=0.0, overlap=0.1)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos') / 'panoptic'
    return generate_dataset(folder, 'panoptic', 1, 2, num_frames=NUM_FRAMES) / 'valid'


@pytest.fixture(scope='module')
def model_files(tmp_path_factory):
    """Write a config and a checkpoint of random weights with the categories of the data."""
    folder = tmp_path_factory.mktemp('model')
    config = folder / 'config.py'
    config.write_text(
        f'_base_ = {str(CONFIG)!r}\nmodel = dict(test_cfg=dict(panoptic={THRESHOLDS}))\n'
    )
    model = init_segmenter(config, device='cpu')
    randomize(model)
    level = get_level('panoptic')
    names = level.classes + level.stuff
    meta = {'dataset_meta': {'classes': names, 'category_ids': tuple(range(len(names)))}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'model.pth')
    return config, folder / 'model.pth'


@pytest.fixture(params=['live', 'scored'])
def written(request, run_tool, videos, model_files, tmp_path):
    """Return the folder of all outputs of the first video."""
    config, checkpoint = model_files
    options = ['--config', config, '--checkpoint', checkpoint, '--protocol', request.param]
    for name in ('out.mp4', 'json.json', 'html.html', 'masks', 'panoptic', 'boxes.csv', 'crops'):
        options += [f'--{Path(name).stem}', tmp_path / name]
    source = videos / 'images' / 'video_00001'
    assert run_tool('segment_video.py', source, *options) == 0
    return tmp_path


def test_outputs_distinguish_things_and_stuff(written, videos, run_tool):
    content = json.loads((written / 'json.json').read_text())
    tracks = {track['id']: track for track in content['tracks']}
    assert {track['is_thing'] for track in tracks.values()} == {True, False}
    for track in tracks.values():
        assert track['is_thing'] == (track['category_id'] < NUM_THINGS)
    stuff = [track['category_id'] for track in tracks.values() if not track['is_thing']]
    assert len(stuff) == len(set(stuff))  # one track per class
    things = {number for number, track in tracks.items() if track['is_thing']}

    with (written / 'boxes.csv').open(newline='') as file:
        assert {int(row['id']) for row in csv.DictReader(file)} == things
    assert {int(path.stem) for path in (written / 'crops').iterdir()} == things
    page = (written / 'html.html').read_text()
    assert page.count('"thing": true') == len(things)
    assert page.count('"thing": false') == len(stuff)

    submission = json.loads((written / 'panoptic' / 'pred.json').read_text())
    (video,) = submission['annotations']
    assert video['video_id'] == 'video_00001'
    assert [bool(x['isthing']) for x in submission['categories']] == [True] * 5 + [False] * 4
    for t, frame in enumerate(video['annotations']):
        ids = read_ids(written / 'panoptic' / 'pan_pred' / 'video_00001' / frame['file_name'])
        assert np.array_equal(ids, np.array(Image.open(written / 'masks' / f'{t:05d}.png')))
        visible = {number for number, x in tracks.items() if x['segmentations'][t]}
        assert {x['id'] for x in frame['segments_info']} == visible
        for segment in frame['segments_info']:
            track = tracks[segment['id']]
            assert segment['category_id'] == track['category_id']
            mask = coco_mask.decode(track['segmentations'][t]).astype(bool)
            assert np.array_equal(ids == segment['id'], mask)
            assert segment['area'] == mask.sum()


def test_submission_is_extended_by_videos_and_scored(
    run_tool, videos, model_files, tmp_path, monkeypatch
):
    """This also works if the first run was killed before it wrote `pred.json`."""
    config, checkpoint = model_files
    model = init_segmenter(config, checkpoint, device='cpu')
    for clip in segment_video(model, videos / 'images' / 'video_00001'):
        assert clip.is_thing.tolist() == [label < NUM_THINGS for label in clip.labels]
    folder = tmp_path / 'submission'
    options = ('--config', config, '--checkpoint', checkpoint, '--panoptic', folder)
    with monkeypatch.context() as killed:
        killed.setattr('axialvs.inference.panoptic_files.join_parts', lambda folder: None)
        assert run_tool('segment_video.py', videos / 'images' / 'video_00001', *options) == 0
    assert {x.name for x in folder.iterdir()} == {'parts', 'pan_pred'}
    assert run_tool('segment_video.py', videos / 'images' / 'video_00002', *options) == 0
    assert {x.name for x in folder.iterdir()} == {'pred.json', 'pan_pred'}
    gt = ('--gt-json', videos / 'panoptic.json', '--gt-dir', videos / 'panomasksRGB')
    pred = ('--pred-json', folder / 'pred.json', '--pred-dir', folder / 'pan_pred')
    metrics = tmp_path / 'metrics.json'
    assert run_tool('eval_vps.py', *gt, *pred, '--out', metrics) == 0
    assert 0 <= json.loads(metrics.read_text())['vpq'] <= 100
