"""The level `camouflage`: objects are visible by motion only, or also by contrast."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from axialvs.datasets.moving_shapes import LEVELS, generate_dataset, generate_video

LEVEL = LEVELS['camouflage']
SIDE = LEVEL.block_size


def _blocks(video):
    """Return colors (L, h, w, 3) and masks (M, L, h, w) of the blocks of a video."""
    return video.frames[:, ::SIDE, ::SIDE].astype(float), video.masks[:, :, ::SIDE, ::SIDE]


@pytest.fixture(scope='module')
def videos():
    return [generate_video(LEVEL, 3, index, split='valid') for index in range(40)]


def test_frames_and_masks_consist_of_whole_blocks(videos):
    for video in videos:
        assert video.frames.shape == (12, 96, 160, 3)
        colors, masks = _blocks(video)
        grown = colors.repeat(SIDE, 1).repeat(SIDE, 2)
        assert np.array_equal(grown, video.frames)
        assert np.array_equal(masks.repeat(SIDE, 2).repeat(SIDE, 3), video.masks)


def test_single_frame_does_not_reveal_objects(videos):
    inside, outside = [], []
    for video in videos:
        colors, masks = _blocks(video)
        covered = masks[:, 0].any(0)
        inside.append(colors[0][covered])
        outside.append(colors[0][~covered])
    inside, outside = np.concatenate(inside) / 255, np.concatenate(outside) / 255
    assert len(inside) > 400
    # Uniform colors: mean 1/2, variance 1/12, and uncorrelated channels.
    for colors in (inside, outside):
        np.testing.assert_allclose(colors.mean(0), 0.5, atol=0.05)
        np.testing.assert_allclose(np.cov(colors.T), np.eye(3) / 12, atol=0.015)


def test_objects_move_one_block_per_frame(videos):
    for video in videos:
        colors, masks = _blocks(video)
        still = ~masks.any((0, 1))
        assert (colors[:, still] == colors[0, still]).all()
        if len(masks) > 1:
            continue  # objects may occlude each other
        corners = np.array([np.argwhere(mask).min(0) for mask in masks[0]])
        steps = np.abs(np.diff(corners, axis=0))
        assert (steps.max(axis=1) == 1).all()
        texture = [frame[mask] for frame, mask in zip(colors, masks[0], strict=True)]
        assert (np.array(texture) == texture[0]).all()


def test_contrast_changes_training_videos_only():
    def spread(split, max_contrast):
        level = replace(LEVEL, max_contrast=max_contrast, num_objects=(1, 1), num_frames=1)
        values = []
        for index in range(30):
            colors, masks = _blocks(generate_video(level, 0, index, split))
            values.append(colors[masks[0]].std(axis=0).mean() / 255)
        return np.array(values)

    plain, camouflaged = 0.03, np.sqrt(1 / 12)
    mixed = spread('train', 1.0)
    assert mixed.min() < plain
    assert mixed.max() > 0.8 * camouflaged
    for unfaded in (spread('train', 0.0), spread('valid', 1.0)):
        assert unfaded.mean() == pytest.approx(camouflaged, rel=0.1)


def test_generation_is_deterministic():
    first, again = (generate_video(LEVEL, 5, 2) for _ in range(2))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.masks, again.masks)
    for other in (generate_video(LEVEL, 6, 2), generate_video(LEVEL, 5, 2, split='valid')):
        assert not np.array_equal(first.frames[0], other.frames[0])


@pytest.mark.parametrize('size', [(97, 61), (32, 32)])
def test_any_size(size):
    video = generate_video(LEVEL, 0, 0, size=size, num_frames=3)
    assert video.frames.shape == (3, size[1], size[0], 3)
    assert video.masks.any((1, 2, 3)).all()


def test_blocks_survive_jpeg_compression(tmp_path):
    generate_dataset(tmp_path / 'a', LEVEL, num_train=0, num_valid=1, num_frames=2)
    video = generate_video(LEVEL, 0, 0, split='valid', num_frames=2)
    path = tmp_path / 'a/valid/JPEGImages/video_00001/00001.jpg'
    stored = cv2.imread(str(path))[..., ::-1].astype(int)
    error = np.abs(stored - video.frames[1])[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]
    assert error.mean() < 4  # chroma bleeds at the borders only
