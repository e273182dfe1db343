"""The generated panoptic dataset: bands of stuff behind the objects, files in VIPSeg's layout."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.datasets.moving_shapes import LEVELS, generate_dataset, generate_video
from axialvs.datasets.moving_shapes.panoptic_writer import panoptic_ids
from axialvs.datasets.moving_shapes.stuff import STUFF
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import evaluate_panoptic

LEVEL = LEVELS['panoptic']


@pytest.fixture(scope='module')
def videos():
    return [generate_video('panoptic', seed=2, index=index, num_frames=8) for index in range(12)]


def test_stuff_is_two_or_three_bands_behind_objects(videos):
    for video in videos:
        objects = video.masks.any(0)
        assert not (objects & (video.stuff >= 0)).any()
        labels = set(np.unique(video.stuff[~objects]).tolist())
        assert 2 <= len(labels) <= 3
        assert ((video.stuff >= 0).mean(axis=(1, 2)) > 0.2).all()
    everything = {label for video in videos for label in np.unique(video.stuff).tolist()}
    assert everything == {-1, *range(len(LEVEL.stuff))}
    void = [((video.stuff < 0) & ~video.masks.any(0)).mean() > 0.05 for video in videos]
    assert 0 < sum(void) < len(videos) / 2


def test_stuff_has_the_color_of_its_class():
    level = replace(LEVEL, background_contrast=0.0, num_objects=(2, 2))
    for index in range(6):
        video = generate_video(level, seed=0, index=index, num_frames=6)
        hues = cv2.cvtColor(video.frames[3].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[..., 0]
        for label, name in enumerate(level.stuff):
            mask = (video.stuff[3] == label).astype(np.uint8)
            inside = cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=1).astype(bool)
            low, high = STUFF[name].hue
            found = hues[inside] / 360
            assert ((found > low - 0.02) & (found < high + 0.02)).all()


def test_stuff_moves_with_the_camera_only():
    level = replace(LEVEL, camera_speed=0.0)
    video = generate_video(level, seed=0, index=0)
    free = (video.stuff >= 0).all(0)
    changes = (video.stuff[:, free] != video.stuff[0, free]).mean()
    assert changes < 0.05  # the camera sways by two percent of the height
    moving = generate_video(replace(LEVEL, camera_speed=0.05), seed=0, index=0)
    free = (moving.stuff >= 0).all(0)
    assert (moving.stuff[-1, free] != moving.stuff[0, free]).mean() > changes


def test_other_levels_have_no_stuff():
    assert generate_video('easy', 0, 0, num_frames=1).stuff is None


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'shapes'
    return generate_dataset(out, 'panoptic', 2, 1, seed=4, size=(80, 64), num_frames=7)


@pytest.mark.parametrize(('split', 'count'), [('train', 2), ('valid', 1)])
def test_files_match_the_generated_videos(dataset, split, count):
    content = json.loads((dataset / split / 'panoptic.json').read_text())
    names = [category['name'] for category in content['categories']]
    assert names == [*LEVEL.classes, *LEVEL.stuff]
    assert [c['isthing'] for c in content['categories']] == [1] * 5 + [0] * 4
    assert len(content['videos']) == len(content['annotations']) == count
    for index, (entry, annotation) in enumerate(
        zip(content['videos'], content['annotations'], strict=True)
    ):
        video = generate_video('panoptic', 4, index, split, size=(80, 64), num_frames=7)
        ids = panoptic_ids(video, LEVEL)
        assert entry['video_id'] == annotation['video_id']
        assert len(entry['images']) == len(annotation['annotations']) == 7
        for t, (image, frame) in enumerate(
            zip(entry['images'], annotation['annotations'], strict=True)
        ):
            assert image['file_name'] == frame['file_name']
            assert image['id'] == frame['image_id']
            assert (image['width'], image['height']) == (80, 64)
            picture = dataset / split / 'images' / entry['video_id'] / f'{image["id"]}.jpg'
            assert (
                np.abs(cv2.imread(str(picture))[..., ::-1] - video.frames[t].astype(int)).mean() < 8
            )
            png = dataset / split / 'panomasksRGB' / entry['video_id'] / frame['file_name']
            blue, green, red = np.moveaxis(cv2.imread(str(png)).astype(int), -1, 0)
            np.testing.assert_array_equal(red + 256 * green + 65536 * blue, ids[t])
            assert {s['id'] for s in frame['segments_info']} == set(np.unique(ids[t])) - {0}
            for segment in frame['segments_info']:
                _check_segment(segment, video, t)


def _check_segment(segment, video, t):
    things = len(LEVEL.classes)
    if segment['category_id'] < things:
        owners = [mask[t] for mask, label in zip(video.masks, video.labels, strict=True)
                  if label == segment['category_id']]  # fmt: skip
        mask = next(mask for mask in owners if mask.sum() == segment['area'])
    else:
        mask = video.stuff[t] == segment['category_id'] - things
    rows, columns = np.nonzero(mask)
    assert segment['area'] == mask.sum()
    assert segment['bbox'] == [
        columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1,
    ]  # fmt: skip


def test_ground_truth_has_a_perfect_score(dataset):
    path, folder = dataset / 'train' / 'panoptic.json', dataset / 'train' / 'panomasksRGB'
    gt = read_ground_truth(path, folder)
    predictions = read_predictions(path, folder, gt)
    scores = evaluate_panoptic(gt, predictions, workers=1).summary()
    assert scores['vpq'] == scores['stq'] == pytest.approx(100)
