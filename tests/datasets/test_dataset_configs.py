"""Tests of the base dataset configs on a tiny dataset with the configs' own classes."""

from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import METRICS
from mmengine.config import Config
from mmengine.runner import Runner

from axialvs.datasets.class_names import CLASS_LISTS
from tiny_video_data import make_content

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
SIDES = {short for short in range(288, 513, 32)}
# Config -> classes, clip length, possible sizes (height, width) of frames of 48x64.
RESIZED = {(short, round(short * 64 / 48)) for short in SIDES}
CONFIGS = {
    'youtube_vis_2019': ('2019', 4, RESIZED),
    'youtube_vis_2021': ('2021', 4, RESIZED),
    'youtube_vis_2022': ('2021', 4, RESIZED),
    'ovis': ('ovis', 4, {(384, 640)}),
    'moving_shapes': (None, 3, {(48, 64)}),
}


def loader_of(name, split, path, prefix):
    """Build the config's loader without workers, with its dataset pointed at the tiny files."""
    config = Config.fromfile(FOLDER / f'{name}.py')[f'{split}_dataloader']
    config.update(num_workers=0, persistent_workers=False)
    config.dataset.update(data_root='', ann_file=path, data_prefix={'img_path': prefix})
    return Runner.build_dataloader(config, seed=0)


@pytest.fixture
def files(write_json, write_images):
    """Write a tiny dataset with the classes of an official list."""

    def make(classes):
        content = make_content()
        if classes:
            names = CLASS_LISTS[classes]
            content['categories'] = [{'id': i + 1, 'name': n} for i, n in enumerate(names)]
        return write_json(content), write_images(content)

    return make


def most_common_color(image: np.ndarray) -> int:
    """Return the uniform background color, which equal distortions of all frames preserve."""
    packed = image[:, ::4, ::4].astype(int).transpose(1, 2, 0) @ [1, 256, 65536]
    colors, counts = np.unique(packed, return_counts=True)
    return int(colors[counts.argmax()])


@pytest.mark.parametrize('name', CONFIGS)
def test_training_batches(name, files):
    classes, clip_length, sizes = CONFIGS[name]
    batches = iter(loader_of(name, 'train', *files(classes)))
    found = set()
    for _ in range(8):
        batch = next(batches)
        for clip, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            assert clip.shape[:2] == (clip_length, 3)
            found.add(tuple(clip.shape[2:]))
            assert len({(frame.flip, frame.scale_factor) for frame in sample}) == 1
            assert len({most_common_color(image) for image in clip.numpy()}) == 1
            for frame in sample:
                masks = frame.gt_instances.masks
                assert (masks.height, masks.width) == frame.img_shape == tuple(clip.shape[2:])
                assert set(frame.gt_instances.instances_ids.tolist()) <= {0, 7, 9, 10, 17, 19}
    assert found <= sizes
    assert len(found) >= min(2, len(sizes))


@pytest.mark.parametrize('split', ['val', 'test'])
@pytest.mark.parametrize('name', CONFIGS)
def test_test_clips(name, split, files):
    classes, clip_length, _ = CONFIGS[name]
    loader = loader_of(name, split, *files(classes))
    samples = [(batch['inputs'][0], batch['data_samples'][0][0]) for batch in loader]
    size = (96, 128) if name == 'moving_shapes' else (360, 480)
    assert {tuple(clip.shape) for clip, _ in samples} == {(clip_length, 3, *size)}
    assert [frame.clip_start for _, frame in samples] == [0, clip_length] * 2
    assert loader.dataset.metainfo['classes'] == (CLASS_LISTS.get(classes) or ('disc', 'box'))


@pytest.mark.parametrize('name', [name for name in CONFIGS if name != 'moving_shapes'])
def test_submission_matches_the_test_dataset(name):
    config = Config.fromfile(FOLDER / f'{name}.py')
    metric = METRICS.build(config.test_evaluator)
    dataset = config.test_dataloader.dataset
    assert metric.ann_file == dataset.data_root + dataset.ann_file
    assert metric.format_only
