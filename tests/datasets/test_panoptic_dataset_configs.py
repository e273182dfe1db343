"""Base configs of panoptic datasets, run on generated videos."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from mmengine.runner import Runner

from axialvs.datasets.moving_shapes import generate_dataset
from axialvs.datasets.transforms.clip_transforms import ShrinkToFit
from axialvs.utils.errors import AxialVSError

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
SIZE = (160, 96)  # of the generated videos, and of the networks here
CONFIGS = {'vipseg': 2, 'moving_shapes_panoptic': 2, 'coco_panoptic': 1}  # with T


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Return a folder of generated videos, with their frames also in COCO's layout."""
    folder = generate_dataset(
        tmp_path_factory.mktemp('data') / 'panoptic', 'panoptic', 2, 1, num_frames=6
    )
    for split in ('train', 'valid'):
        content = json.loads((folder / split / 'panoptic.json').read_text())
        images, annotations = [], []
        for video in content['annotations']:
            for frame in video['annotations']:
                image = {'id': len(images), 'width': SIZE[0], 'height': SIZE[1]}
                path = f'{video["video_id"]}/{frame["file_name"]}'
                images.append({**image, 'file_name': path.replace('.png', '.jpg')})
                annotations.append({**frame, 'image_id': image['id'], 'file_name': path})
        coco = {
            'images': images,
            'annotations': annotations,
            'categories': content['categories'],
        }
        (folder / split / 'coco.json').write_text(json.dumps(coco))
    return folder


def replaced(value, old, new):
    """Return a config with a value replaced wherever it occurs."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {key: replaced(member, old, new) for key, member in value.items()}
    if isinstance(value, list):
        return [replaced(member, old, new) for member in value]
    return value


def loader_of(name, split, root):
    """Build a config's loader of the generated videos, at their size and without workers."""
    config = Config.fromfile(FOLDER / f'{name}.py')
    loader = config[f'{split}_dataloader'].to_dict()
    loader = replaced(loader, config.get('image_size', SIZE), SIZE)
    loader.update(num_workers=0, persistent_workers=False)
    folder = 'train' if split == 'train' else 'valid'
    file = 'coco.json' if name.startswith('coco') else 'panoptic.json'
    prefix = dict(img_path=f'{folder}/images', mask_path=f'{folder}/panomasksRGB')
    loader['dataset'].update(data_root=str(root), ann_file=f'{folder}/{file}', data_prefix=prefix)
    return Runner.build_dataloader(loader, seed=0)


@pytest.mark.parametrize('name', CONFIGS)
def test_training_batches(name, root):
    batches = iter(loader_of(name, 'train', root))
    sizes, pasted = set(), 0
    for _ in range(4):
        batch = next(batches)
        for clip, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            assert clip.shape[:2] == (CONFIGS[name], 3)
            assert clip.shape[2] <= SIZE[1]
            assert clip.shape[3] <= SIZE[0]
            sizes.add(tuple(clip.shape[2:]))
            labels = {}
            for frame in sample:
                segments = frame.gt_instances
                masks = segments.masks.masks
                assert masks.shape == (len(segments), *clip.shape[2:])
                assert masks.sum(0).max() == 1
                assert masks.any((1, 2)).all()
                for identifier, label in zip(
                    segments.instances_ids.tolist(), segments.labels.tolist(), strict=True
                ):
                    assert labels.setdefault(identifier, label) == label
            stuff = [label for label in labels.values() if label >= 5]
            assert len(stuff) == len(set(stuff))
            pasted += len(labels) - len(stuff) > 4  # a video has at most four things
    assert len(sizes) > 2 or name == 'moving_shapes_panoptic'
    assert pasted


@pytest.mark.parametrize('split', ['val', 'test'])
@pytest.mark.parametrize('name', CONFIGS)
def test_test_clips(name, split, root):
    loader = loader_of(name, split, root)
    clips = [(batch['inputs'][0], batch['data_samples'][0][0]) for batch in loader]
    assert {tuple(clip.shape) for clip, _ in clips} == {(CONFIGS[name], 3, *SIZE[::-1])}
    if name != 'coco_panoptic':
        assert [frame.clip_start for _, frame in clips] == [0, 2, 4]
    assert len(loader.dataset.metainfo['classes']) == 9
    assert loader.dataset.metainfo['thing_labels'] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('split', ['val', 'test'])
def test_evaluator_matches_the_dataset(name, split):
    config = Config.fromfile(FOLDER / f'{name}.py')
    dataset = config[f'{split}_dataloader'].dataset
    metric = METRICS.build(config[f'{split}_evaluator'])
    assert metric.ann_file == dataset.data_root + dataset.ann_file
    assert metric.mask_prefix + '/' == dataset.data_root + dataset.data_prefix.mask_path


def test_thing_labels_of_the_configs(root):
    def things(name):
        return Config.fromfile(FOLDER / f'{name}.py').thing_labels

    generated = loader_of('moving_shapes_panoptic', 'val', root).dataset
    assert tuple(things('moving_shapes_panoptic')) == generated.metainfo['thing_labels']
    assert len(set(things('vipseg'))) == len(things('vipseg')) == 58
    assert max(things('vipseg')) < 124


def test_offline_training_loads_frames_of_several_clips(root):
    settings = loader_of('vipseg', 'train', root).dataset
    config = Config.fromfile(FOLDER / 'vipseg.py').train_dataloader.dataset
    pipelines = {
        key: replaced(config[key], (1345, 769), SIZE)
        for key in ('load_pipeline', 'paste_pipeline', 'pipeline')
    }
    dataset = DATASETS.build(
        dict(
            type='VIPSeg',
            ann_file=settings.ann_file,
            data_prefix=settings.data_prefix,
            clip_length=2,
            num_frames=6,
            **pipelines,
        )
    )
    assert dataset[0]['inputs'].shape[0] == len(dataset[0]['data_samples']) == 6


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        ((720, 1280), (720, 1280)),
        ((769, 1345), (769, 1345)),
        ((1080, 1920), (757, 1345)),
        ((1280, 720), (769, 433)),
        ((100, 2690), (50, 1345)),
    ],
)
def test_only_large_frames_are_shrunk(size, expected):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    results = {'img': image, 'img_shape': size, 'scale_factor': (1.0, 1.0)}
    found = ShrinkToFit(scale=(1345, 769)).transform(results)
    assert found['img'].shape == (*expected, 3)
    assert found['img_shape'] == expected
    height, width = (new / old for new, old in zip(expected, size, strict=True))
    np.testing.assert_allclose(found['scale_factor'], (width, height))
    if size == expected:
        assert found['img'] is image


def test_zero_size_raises():
    with pytest.raises(AxialVSError, match='0'):
        ShrinkToFit(scale=(1345, 0))


def test_clips_of_tube_link(root):
    """Its config crops larger frames in training and keeps their size in testing."""
    config = Config.fromfile(FOLDER.parents[1] / 'tube_link/tube-link_r50_16xb1-29k_vipseg.py')
    for split, folder in (('train', 'train'), ('test', 'valid')):
        loader = config[f'{split}_dataloader'].to_dict()
        loader.update(num_workers=0, persistent_workers=False)
        prefix = dict(img_path=f'{folder}/images', mask_path=f'{folder}/panomasksRGB')
        loader['dataset'].update(
            data_root=str(root), ann_file=f'{folder}/panoptic.json', data_prefix=prefix
        )
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        (clip,) = batch['inputs']
        if split == 'test':
            assert clip.shape == (4, 3, *SIZE[::-1])
            continue
        assert clip.shape[:2] == (4, 3)
        assert clip.shape[3] == 736
        assert 720 <= clip.shape[2] <= 736
        for frame in batch['data_samples'][0]:
            masks = frame.gt_instances.masks.masks
            assert masks.shape[1:] == clip.shape[2:]
            assert masks.sum(0).max() == 1
