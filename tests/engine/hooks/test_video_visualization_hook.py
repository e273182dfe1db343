"""Images of a validation: selected videos and frames, and what is drawn."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import TrackDataSample
from mmengine.runner import IterBasedTrainLoop
from mmengine.structures import InstanceData

from axialvs.datasets.youtube_vis import YouTubeVISDataset
from axialvs.engine.hooks.video_visualization_hook import VideoVisualizationHook, evenly
from axialvs.visualization.overlay import track_color
from generated_videos import write_videos


class Pictures:
    """A visualizer that records its images."""

    def __init__(self) -> None:
        self.shown = {}

    def add_image(self, name, image, step) -> None:
        self.shown[name] = image, step


@pytest.fixture(scope='module')
def split(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp('videos') / 'valid', [4, 3, 5])


def validate(split, hook: VideoVisualizationHook, tracks_of=lambda content, video: []) -> dict:
    """Run a validation whose model returns these tracks (score, segmentations, label)."""
    dataset = YouTubeVISDataset(
        str(split / 'instances.json'),
        clip_length=2,
        data_prefix=dict(img_path=str(split / 'JPEGImages')),
        test_mode=True,
        pipeline=[],
    )
    content = json.loads((split / 'instances.json').read_text())
    runner = SimpleNamespace(
        visualizer=Pictures(),
        iter=30,
        val_dataloader=SimpleNamespace(dataset=dataset),
        _train_loop=IterBasedTrainLoop.__new__(IterBasedTrainLoop),
    )
    hook.before_val_epoch(runner)
    for video in content['videos']:
        going_on = TrackDataSample(metainfo={'video_id': video['id']})
        ended = TrackDataSample(metainfo={'video_id': video['id']})
        scores, segmentations, labels = zip(*tracks_of(content, video), strict=True) or ((),) * 3
        ended.pred_tracks = InstanceData(
            scores=torch.tensor(scores), labels=torch.tensor(labels), segmentations=segmentations
        )
        hook.after_val_iter(runner, 0, None, [going_on, ended])
    hook.after_val_epoch(runner)
    return runner.visualizer.shown


def as_annotated(content: dict, video: dict) -> list:
    """Return the annotated objects as tracks in reverse order with decreasing scores."""
    instances = [a for a in content['annotations'] if a['video_id'] == video['id']]
    order = [category['id'] for category in content['categories']]
    return [
        (0.9 - 0.1 * place, a['segmentations'], order.index(a['category_id']))
        for place, a in enumerate(reversed(instances))
    ]


def test_perfect_prediction_has_ground_truth_colors(split):
    hook = VideoVisualizationHook(videos=2, frames=2, score_thr=0.0, height=80)
    shown = validate(split, hook, as_annotated)
    content = json.loads((split / 'instances.json').read_text())
    ids = [video['id'] for video in content['videos']]
    assert list(shown) == [f'overlay_video_{ids[0]}', f'overlay_video_{ids[2]}']
    image, step = shown[f'overlay_video_{ids[0]}']
    assert step == 30
    assert image.dtype == np.uint8
    rows = [row for row in np.split(image[24:], [24 + 80, 128 + 80], axis=0)]
    predicted, gt = (row[24:].astype(int) for row in rows[1:])
    same = np.abs(predicted - gt).max(axis=2) < 30
    assert same.mean() > 0.9  # the labels differ by their scores
    color = np.array(track_color(1))
    assert (np.abs(gt - color).max(axis=2) < 60).any()


def test_tracks_below_the_threshold_are_not_drawn(split):
    frames_only = VideoVisualizationHook(videos=1, frames=1, score_thr=0.95, height=80)
    (image, _), *_ = validate(split, frames_only, as_annotated).values()
    top, below = image[48 : 48 + 80], image[48 + 104 : 48 + 184]
    assert np.array_equal(top, below)
    path = sorted((split / 'JPEGImages').glob('*/*'))[0]
    frame = cv2.imread(str(path))[..., ::-1]
    size = image.shape[1], 80
    assert np.array_equal(top, cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def test_no_ground_truth_row_without_annotations(split, tmp_path):
    content = json.loads((split / 'instances.json').read_text())
    bare = tmp_path / 'valid'
    bare.mkdir()
    (bare / 'JPEGImages').symlink_to(split / 'JPEGImages')
    (bare / 'instances.json').write_text(json.dumps(content | {'annotations': None}))
    hook = VideoVisualizationHook(videos=1, frames=1, height=80)
    tracks = as_annotated(content, content['videos'][0])
    (image, _), *_ = validate(bare, hook, lambda *_: tracks).values()
    assert image.shape[0] == 48 + 80 + 24 + 80


def test_disabled_by_default(split):
    assert validate(split, VideoVisualizationHook(), as_annotated) == {}


def test_selected_frames_are_evenly_spaced():
    assert evenly(100, 3) == [0, 50, 99]
    assert evenly(2, 5) == [0, 1]
    with pytest.raises(ValueError, match=r'frames=0.*at least'):
        VideoVisualizationHook(videos=1, frames=0)
