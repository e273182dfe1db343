"""The generated dataset: guaranteed events, exact masks, determinism, official files."""

import json
import runpy
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_util

from axialvs.datasets.moving_shapes import LEVELS, generate_dataset, generate_video
from axialvs.datasets.moving_shapes.rendering import rasterize
from axialvs.datasets.moving_shapes.scene import Shape
from axialvs.datasets.moving_shapes.silhouettes import OUTLINES
from axialvs.datasets.moving_shapes.video import (
    crosses,
    fully_occluded,
    re_enters,
)
from axialvs.utils.cli import run_command

REPO = Path(__file__).resolve().parents[2]
TOOL = REPO / 'tools' / 'dataset_converters' / 'generate_moving_shapes.py'


def _block(positions, length=None, size=(20, 40)):
    """Return masks (L, H, W) of a 4x4 block with its left edge at the columns; None hides it."""
    masks = np.zeros((len(positions), *size), bool)
    for mask, column in zip(masks, positions, strict=True):
        if column is not None:
            mask[8:12, column : column + 4] = True
    return masks


def test_blocks_that_swap_places_cross():
    assert crosses(_block([0, 8, 16, 24]), _block([24, 16, 12, 0]))


def test_blocks_that_meet_and_turn_back_do_not_cross():
    assert not crosses(_block([0, 8, 12, 0]), _block([24, 18, 16, 24]))


def test_blocks_that_swap_places_without_touching_do_not_cross():
    first, second = _block([0, 30]), _block([30, 0])
    assert not crosses(first, second)
    # If one is hidden when they meet, no frame shows them in contact.
    assert not crosses(_block([0, None, 30]), _block([30, 15, 0]))


def test_occlusion_and_re_entry():
    visible = np.array([True, True, False, False, True])
    inside, outside = np.ones(5, bool), np.array([True, True, True, False, True])
    assert fully_occluded(visible, inside)
    assert not re_enters(visible, inside)
    assert not fully_occluded(visible, outside)
    assert re_enters(visible, outside)
    assert not fully_occluded(visible[:4], inside[:4]), 'an object that stays away has no gap'


@pytest.mark.parametrize('name', list(OUTLINES))
def test_coverage_sums_to_the_area_and_is_centered(name):
    center = np.array([40.3, 31.8])
    shape = Shape(0, None, center[None], np.array([15.0]), np.array([0.4]), 0.0)
    patch = rasterize(shape, name, 0, (80, 64))
    x, y = OUTLINES[name].T
    area = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) * 15.0**2
    # cv2 fills the pixels that an edge runs through, an eighth of a pixel too much on each side.
    assert patch.coverage.sum() == pytest.approx(area, rel=0.04)
    rows, columns = np.mgrid[: patch.coverage.shape[0], : patch.coverage.shape[1]]
    weight = patch.coverage / patch.coverage.sum()
    found = (columns * weight).sum() + patch.x + 0.5, (rows * weight).sum() + patch.y + 0.5
    np.testing.assert_allclose(found, center, atol=0.1)


def test_objects_at_and_outside_the_border():
    radii, angles = np.array([10.0]), np.zeros(1)
    cut = rasterize(Shape(0, None, np.zeros((1, 2)), radii, angles, 0.0), 'circle', 0, (80, 64))
    assert cut.coverage.sum() == pytest.approx(np.pi * 100 / 4, rel=0.02)
    away = Shape(0, None, np.full((1, 2), -30.0), radii, angles, 0.0)
    assert rasterize(away, 'circle', 0, (80, 64)) is None


def crossing_pairs(masks):
    """Return all pairs of objects (M, L, H, W) that cross."""
    return [(i, j) for i, j in combinations(range(len(masks)), 2) if crosses(masks[i], masks[j])]


@pytest.mark.parametrize('index', range(12))
def test_demo_videos_contain_a_crossing(index):
    video = generate_video('demo', seed=3, index=index)
    assert video.frames.shape == (24, 96, 160, 3)
    assert 3 <= len(video.masks) <= 5
    assert crossing_pairs(video.masks)
    assert video.masks.sum(axis=0).max() == 1, 'a pixel shows one object'
    areas = video.masks.sum(axis=(2, 3))
    assert areas[areas > 0].min() >= LEVELS['demo'].min_visible_pixels
    assert (areas > 0).any(axis=1).all()


@pytest.mark.parametrize('index', range(6))
def test_hard_videos_contain_occlusion_and_re_entry(index):
    video = generate_video('hard', seed=3, index=index)
    assert len(video.frames) == 48
    visible = video.masks.any(axis=(2, 3))
    pairs = crossing_pairs(video.masks)
    assert any(video.labels[i] == video.labels[j] for i, j in pairs)
    states = list(zip(visible, video.in_image, strict=True))
    assert any(fully_occluded(*state) for state in states)
    assert any(re_enters(*state) for state in states)


def test_crossing_look_alikes_share_their_appearance():
    video = generate_video(replace(LEVELS['hard'], look_alike_probability=0.0), seed=1, index=0)
    means = np.stack(
        [np.concatenate([f[m] for f, m in zip(video.frames, obj, strict=True)]).mean(axis=0)
         for obj in video.masks]
    )  # fmt: skip
    pairs = [(i, j) for i, j in crossing_pairs(video.masks) if video.labels[i] == video.labels[j]]
    distances = [np.abs(means[i] - means[j]).max() for i, j in pairs]
    assert min(distances) < 25


def test_masks_match_the_images():
    """Pixel values change along every outline, but not inside a plain object."""
    level = replace(LEVELS['easy'], background_contrast=0.0, num_objects=(1, 1))
    for index in range(8):
        video = generate_video(level, seed=0, index=index)
        frame, mask = video.frames[0].astype(int), video.masks[0, 0]
        core = np.ones((5, 5), np.uint8)
        grown = cv2.dilate(mask.astype(np.uint8), core).astype(bool)
        shrunk = cv2.erode(mask.astype(np.uint8), core, borderValue=1).astype(bool)
        background = np.median(frame[~grown], axis=0)
        assert np.abs(frame[~grown] - background).max() <= 2
        assert np.abs(frame[shrunk] - background).max(axis=1).min() > 20


def test_objects_move_visibly():
    video = generate_video('demo', seed=0, index=0)
    overlap = (video.masks[:, 0] & video.masks[:, -1]).sum(axis=(1, 2))
    assert (overlap < 0.5 * video.masks[:, 0].sum(axis=(1, 2))).any()
    assert not np.array_equal(video.frames[0], video.frames[1])


def test_generation_is_deterministic():
    first, again = (generate_video('demo', 5, 2) for _ in range(2))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.masks, again.masks)
    for other in (
        generate_video('demo', 6, 2),
        generate_video('demo', 5, 3),
        generate_video('demo', 5, 2, split='valid'),
    ):
        assert not np.array_equal(first.frames[0], other.frames[0])


@pytest.mark.parametrize(('size', 'num_frames'), [((97, 61), 8), ((256, 192), 30)])
def test_any_size_and_length(size, num_frames):
    video = generate_video('demo', 0, 0, size=size, num_frames=num_frames)
    assert video.frames.shape == (num_frames, size[1], size[0], 3)
    assert video.masks.shape[1:] == (num_frames, size[1], size[0])
    assert crossing_pairs(video.masks)


def test_one_frame_of_level_easy():
    assert generate_video('easy', 0, 0, num_frames=1).frames.shape == (1, 96, 160, 3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'level': 'harder'}, "level 'harder' is unknown; choose one of easy, demo, hard"),
        ({'num_frames': 4}, "num_frames 4 is too short for level 'demo'"),
        ({'num_frames': 0}, 'num_frames 0'),
        ({'size': (160, 16)}, r'size \(160, 16\) is too small'),
        ({'split': 'test'}, "split 'test' is unknown"),
        ({'seed': -1}, 'seed -1'),
    ],
)
def test_errors_name_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_video(**({'level': 'demo', 'seed': 0, 'index': 0} | arguments))


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'deep' / 'shapes'
    return generate_dataset(out, 'hard', num_train=2, num_valid=1, seed=4, size=(80, 64))


@pytest.mark.parametrize(('split', 'count'), [('train', 2), ('valid', 1)])
def test_files_match_the_generated_videos(dataset, split, count):
    content = json.loads((dataset / split / 'instances.json').read_text())
    assert content['info']['level'] == 'hard'
    assert content['info']['seed'] == 4
    assert [c['id'] for c in content['categories']] == [1, 2, 3, 4, 5]
    assert [v['id'] for v in content['videos']] == list(range(1, count + 1))
    assert [a['id'] for a in content['annotations']] == list(
        range(1, len(content['annotations']) + 1)
    )
    for index, entry in enumerate(content['videos']):
        video = generate_video('hard', 4, index, split, size=(80, 64))
        assert (entry['width'], entry['height'], entry['length']) == (80, 64, 48)
        assert len(set(entry['file_names'])) == 48
        for frame, name in enumerate(entry['file_names']):
            stored = cv2.imread(str(dataset / split / 'JPEGImages' / name))[..., ::-1]
            distances = np.abs(stored.astype(int) - video.frames).mean(axis=(1, 2, 3))
            assert distances.argmin() == frame
            assert distances[frame] < 8  # the loss of JPEG
        mine = [a for a in content['annotations'] if a['video_id'] == entry['id']]
        assert [a['category_id'] - 1 for a in mine] == video.labels.tolist()
        for annotation, masks in zip(mine, video.masks, strict=True):
            _check_annotation(annotation, masks)


def _check_annotation(annotation, masks):
    assert annotation['iscrowd'] == 0
    for frame, mask in enumerate(masks):
        rle = annotation['segmentations'][frame]
        area, box = annotation['areas'][frame], annotation['bboxes'][frame]
        if not mask.any():
            assert rle is None
            assert area is None
            assert box is None
            continue
        assert isinstance(rle['counts'], str)
        assert np.array_equal(mask_util.decode(rle).astype(bool), mask)
        assert area == mask.sum()
        rows, columns = np.nonzero(mask)
        assert box[:2] == [columns.min(), rows.min()]
        assert box[2:] == [np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_hidden_frames_are_null(dataset):
    content = json.loads((dataset / 'train' / 'instances.json').read_text())
    assert any(None in a['segmentations'] for a in content['annotations'])


def test_folder_is_overwritten_only_on_request(tmp_path):
    generate_dataset(tmp_path / 'a', 'easy', 1, 0, num_frames=2)
    before = (tmp_path / 'a/train/instances.json').read_text()
    with pytest.raises(FileExistsError, match='not empty'):
        generate_dataset(tmp_path / 'a', 'easy', 1, 0, seed=9, num_frames=2)
    assert (tmp_path / 'a/train/instances.json').read_text() == before
    generate_dataset(tmp_path / 'a', 'easy', 1, 0, seed=9, num_frames=2, overwrite=True)
    assert (tmp_path / 'a/train/instances.json').read_text() != before
    (tmp_path / 'a' / 'thesis.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=r'thesis\.txt'):
        generate_dataset(tmp_path / 'a', 'easy', 1, 0, num_frames=2, overwrite=True)


def test_interrupted_generation_leaves_no_files(tmp_path):
    def broken(videos, total):
        yield next(iter(videos))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_dataset(tmp_path / 'a', 'easy', 3, 1, num_frames=2, progress=broken)
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path, monkeypatch, capsys):
    line = f'tool {tmp_path}/a --level easy --train 2 --valid 1 --size 64x48 --frames 3'
    monkeypatch.setattr(sys, 'argv', line.split())
    main = runpy.run_path(str(TOOL))['main']
    assert run_command(main) == 0
    content = json.loads((tmp_path / 'a/train/instances.json').read_text())
    assert [v['length'] for v in content['videos']] == [3, 3]
    assert content['videos'][0]['width'] == 64
    capsys.readouterr()
    assert run_command(main) == 2
    message = capsys.readouterr().err
    assert message.count('\n') == 1
    assert 'not empty' in message
