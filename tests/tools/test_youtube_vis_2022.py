"""A test with a config of YouTube-VIS 2022 from end to end, as docs/evaluation.md says it."""

import json
import zipfile
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config
from pycocotools import mask as coco_mask

from axialvs.datasets.class_names import resolve_class_list
from generated_videos import SIZE, write_videos
from shrunk_configs import part_of, shrink
from tiny_segmenter import randomise

CONFIG = 'axialvs-wc_r50_8xb1-15k_youtubevis2022.py'
FOLDER = Path(__file__).parents[2] / 'configs/axialvs'
DATA = Path('data/youtube_vis_2022')
SHORT, LONG = 1, 2


@pytest.fixture
def shrunk(tmp_path, monkeypatch) -> tuple[str, str]:
    """Config and checkpoint in a folder where the data of 2022 lie as they are unpacked."""
    monkeypatch.chdir(tmp_path)
    file = write_videos(DATA / 'valid', [3, 9]) / 'instances.json'
    content = json.loads(file.read_text())
    assert [video['id'] for video in content['videos']] == [SHORT, LONG]
    names = resolve_class_list('2022')
    content['categories'] = [{'id': i, 'name': name} for i, name in enumerate(names, start=1)]
    file.write_text(json.dumps(content | {'annotations': None}))  # as it is public

    config = Config.fromfile(FOLDER / CONFIG)
    shrink(config)
    config.log_level = 'WARNING'
    config.dump(CONFIG)
    model = MODELS.build(config.model)
    randomise(model)
    torch.save({'state_dict': model.state_dict()}, 'model.pth')
    return CONFIG, 'model.pth'


def pixel() -> dict:
    """A mask that nothing of a network's size matches."""
    width, height = SIZE
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[0, 0] = 1
    found = coco_mask.encode(mask.numpy().copy(order='F'))
    return found | {'counts': found['counts'].decode()}


def gt_of(results: list[dict], video: dict, missed: bool) -> list[dict]:
    """Of each class the best track of a video and, perhaps, a second one that nothing finds."""
    best = {}
    for entry in sorted(results, key=lambda entry: entry['score']):
        if entry['video_id'] == video['id'] and any(entry['segmentations']):
            best[entry['category_id']] = entry['segmentations']
    assert best
    nothing = [None] * (video['length'] - 1)
    tracks = [(category, masks) for category, masks in best.items()]
    tracks += [(category, [pixel(), *nothing]) for category in best] if missed else []
    return [
        {
            'video_id': video['id'],
            'category_id': category,
            'segmentations': masks,
            'areas': [mask and int(coco_mask.area(mask)) for mask in masks],
            'iscrowd': 0,
        }
        for category, masks in tracks
    ]


def test_short_and_long_videos_are_scored_apart_and_averaged(shrunk, run_tool):
    assert run_tool('test.py', *shrunk) == 0
    with zipfile.ZipFile('work_dirs/youtube_vis_2022_submission.zip') as submission:
        results = json.loads(submission.read('results.json'))
    assert {entry['video_id'] for entry in results} == {SHORT, LONG}

    content = json.loads((DATA / 'valid/instances.json').read_text())
    tracks = [
        track
        for video in content['videos']
        for track in gt_of(results, video, missed=video['id'] == LONG)
    ]
    content['annotations'] = [{'id': i} | track for i, track in enumerate(tracks, start=1)]
    for kind, video_id in (('short', SHORT), ('long', LONG)):
        (DATA / f'gt_{kind}.json').write_text(json.dumps(part_of(content, {video_id})))

    options = ['--out', 'metrics.json', '--cfg-options', 'test_evaluator.format_only=False']
    assert run_tool('test.py', *shrunk, *options) == 0
    metrics = json.loads(Path('metrics.json').read_text())
    # The best track of a class is right. With half of the tracks found, precision is 1 at 51 of
    # the 101 recalls that the official AP looks at.
    short, long = 1.0, 51 / 101
    assert metrics['youtube_vis/AP_short'] == pytest.approx(short)
    assert metrics['youtube_vis/AP_long'] == pytest.approx(long)
    assert metrics['youtube_vis/AP_all'] == pytest.approx((short + long) / 2)
    assert metrics['youtube_vis/AR100_long'] == pytest.approx(0.5)
