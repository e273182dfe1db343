"""Frames of a video are prepared as by the test pipeline of a dataset."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from axialvs.inference.frame_preparation import FramePreparation
from axialvs.inference.readers import VideoReadError
from generated_videos import frame_folders, point_at, write_videos
from tiny_segmenter import tiny_config, tiny_segmenter


@pytest.mark.parametrize('scale', [(48, 30), (100, 90)], ids=['down', 'up'])
@torch.no_grad()
def test_matches_the_test_pipeline(tmp_path, scale):
    split = write_videos(tmp_path / 'valid', [2])
    config, model = tiny_config(), tiny_segmenter()
    point_at(config, test=split)
    config.test_dataloader.dataset.clip_length = 2
    steps = config.test_dataloader.dataset.pipeline[0].transforms
    (resize,) = (step for step in steps if step.type == 'Resize')
    resize.scale = scale
    (sample,) = Runner.build_dataloader(config.test_dataloader, seed=0)
    expected = model.data_preprocessor(sample)
    frame = expected['data_samples'][0][0]

    (folder,) = frame_folders(split)
    images = [cv2.imread(str(file))[..., ::-1] for file in sorted(folder.iterdir())]
    before = [image.copy() for image in images]
    model.test_pipeline = config.test_dataloader.dataset.pipeline
    frames, shapes = FramePreparation(model)(images)
    assert torch.equal(frames, expected['inputs'][0])
    assert shapes[:3] == (frame.batch_input_shape, frame.img_shape, frame.ori_shape)
    for image, copy in zip(images, before, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_single_frame_of_odd_size():
    image = np.zeros((37, 111, 3), np.uint8)
    frames, shapes = FramePreparation(tiny_segmenter())([image])
    assert shapes.ori_shape == (37, 111)
    assert shapes.img_shape == (53, 160)
    assert shapes.batch_input_shape == tuple(frames.shape[-2:]) == (64, 160)


def test_frames_one_pixel_high():
    with pytest.raises(VideoReadError, match='4000x1 pixels'):
        FramePreparation(tiny_segmenter())([np.zeros((1, 4000, 3), np.uint8)])
