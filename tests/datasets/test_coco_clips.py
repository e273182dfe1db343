"""Tests of clips from still images: classes, samples, masks aligned with the images."""

import random

import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import Category
from axialvs.datasets.class_names import CLASS_LISTS
from axialvs.datasets.classes import match_coco_classes
from axialvs.datasets.coco import CocoClipsDataset
from axialvs.datasets.transforms.image_to_clip import ImageToClip
from tiny_stills import BIG_ID, BUS, CAR, MOUSE, PERSON, square, stills_content, write_stills
from tiny_video_data import COLORS, HEIGHT, WIDTH, paint, same

NAMES = """person bicycle car motorcycle airplane bus train truck boat bird cat dog horse sheep cow
    elephant bear zebra giraffe frisbee skis snowboard skateboard surfboard mouse"""
COCO = [Category(i, name) for i, name in enumerate([*NAMES.split(), 'tennis racket'], start=1)]


def still(mask=None):
    mask = square() if mask is None else mask
    return {
        'img': paint({0: mask}),
        'gt_masks': BitmapMasks(mask[None].astype(np.uint8), HEIGHT, WIDTH),
        'gt_bboxes_labels': np.array([3]),
        'gt_instances_ids': np.array([7]),
        'gt_ignore_flags': np.array([False]),
        'num_frames': 5,
    }


@pytest.fixture
def build_stills(write_json, tmp_path):
    def make(content, move=None, **kwargs):
        pipeline = [
            {'type': 'LoadFrame'},
            {'type': 'LoadClipAnnotations'},
            {'type': 'ImageToClip', 'short_sides': (40, 56), **(move or {})},
            {'type': 'FilterEmptyInstances'},
            {'type': 'PackClip'},
        ]
        kwargs = {'classes': ('person', 'sedan', 'mouse'), 'clip_length': 4, **kwargs}
        prefix = {'img_path': write_stills(content, tmp_path)}
        return CocoClipsDataset(
            write_json(content), data_prefix=prefix, pipeline=pipeline, **kwargs
        )

    return make


@pytest.mark.parametrize(
    ('classes', 'pairs', 'dropped'),
    [
        ('2019', 'motorcycle:motorbike car:sedan tennis_racket:tennis_racket truck:truck', 'bird'),
        ('2021', 'motorcycle:motorbike car:car frisbee:flying_disc bird:bird', 'skis'),
        ('2022', 'train:train cow:cow snowboard:snowboard', 'bicycle'),
        ('ovis', 'car:Vehical bus:Vehical truck:Vehical motorcycle:Motorcycle', 'frisbee'),
    ],
)
def test_classes_by_name_and_synonym(classes, pairs, dropped):
    labels = match_coco_classes(COCO, classes, 'coco.json')
    ids = {category.name.replace(' ', '_'): category.id for category in COCO}
    for pair in pairs.split():
        name, target = pair.split(':')
        assert CLASS_LISTS[classes][labels.label_of(ids[name])] == target
    assert dropped in labels.dropped
    assert 'mouse' in labels.dropped  # a computer mouse, not an animal
    assert {category.id for category in COCO} == labels.labels.keys() | {
        ids[name.replace(' ', '_')] for name in labels.dropped
    }


def test_given_synonyms_take_precedence():
    labels = match_coco_classes(
        COCO, '2021', 'coco.json', {'bicycle': 'motorbike', 'mouse': ['mouse'], 'car': ()}
    )
    assert {'bicycle', 'mouse'}.isdisjoint(labels.dropped)
    assert 'car' in labels.dropped
    for wrong in ({'lamp': 'cat'}, {'cat': 'lamp'}):
        with pytest.raises(ValueError, match='lamp'):
            match_coco_classes(COCO, '2021', 'coco.json', wrong)
    with pytest.raises(ValueError, match='none of its 26 categories'):
        match_coco_classes(COCO, ['lamp'], 'coco.json')


def test_images_without_a_class_are_skipped_and_reported(build_stills, log):
    dataset = build_stills(stills_content((PERSON, BUS, CAR, MOUSE)))
    kept = [dataset.get_data_info(i)['video_id'] for i in range(len(dataset))]
    assert kept == [10, 12]
    assert 'Dropped: bus, mouse' in log.text()
    assert '2 images without' in log.text()


def test_a_sample_has_the_structure_of_a_clip(build_stills):
    dataset = build_stills(stills_content((PERSON, CAR)), dict(zoom=(1, 1), max_angle=0))
    for index, (label, identifier) in enumerate([(0, 0), (1, BIG_ID + 1)]):
        sample = dataset[index]
        assert sample['inputs'].shape[:2] == (4, 3)
        assert [frame.frame_id for frame in sample['data_samples']] == [0, 1, 2, 3]
        for frame, image in zip(sample['data_samples'], sample['inputs'], strict=True):
            gt = frame.gt_instances
            assert (gt.masks.height, gt.masks.width) == frame.img_shape == image.shape[1:]
            assert gt.labels.tolist() == [label]
            assert gt.instances_ids.tolist() == [identifier]
            crowds = frame.ignored_instances.instances_ids.tolist()
            assert crowds == ([5] if index else [])
    assert same(dataset[1], dataset[1])


@pytest.mark.parametrize('flip_per_frame', [False, True])
def test_masks_follow_the_image(flip_per_frame):
    random.seed(1)
    move = ImageToClip([64], zoom=(0.8, 1.6), max_angle=30, flip_per_frame=flip_per_frame)
    flips = set()
    for _ in range(8):
        clip = move.transform(still())
        flips.add(tuple(clip['flip']))
        for image, masks in zip(clip['img'], clip['gt_masks'], strict=True):
            red = (np.abs(image.astype(int) - COLORS[0]) < 90).all(axis=2)
            mask = masks.masks[0].astype(bool)
            assert (red & mask).sum() / (red | mask).sum() > 0.9
    assert any(len(set(flip)) == 2 for flip in flips) == flip_per_frame
    assert len(flips) > 1


def test_full_upright_image_is_resized_and_flipped_exactly():
    for flip in (0.0, 1.0):
        move = ImageToClip([HEIGHT], zoom=(1, 1), max_angle=0, flip_prob=flip)
        clip = move.transform(still())
        step = -1 if flip else 1
        for image, masks in zip(clip['img'], clip['gt_masks'], strict=True):
            np.testing.assert_array_equal(image, still()['img'][:, ::step])
            np.testing.assert_array_equal(masks.masks[0], square()[:, ::step])


def test_smooth_paths_take_equal_steps_and_jumps_do_not():
    random.seed(0)
    smooth = ImageToClip([64], smooth_prob=1, smooth_reach=1).draw_poses(6)
    jumps = ImageToClip([64], smooth_prob=0).draw_poses(6)
    for poses, is_smooth in ((smooth, True), (jumps, False)):
        path = np.array([[np.log(p.zoom), p.angle, *p.place] for p in poses])
        assert np.allclose(np.diff(path, 2, axis=0), 0) == is_smooth
        assert np.abs(np.diff(path, axis=0)).max() > 0.1


def test_an_object_that_leaves_has_an_empty_mask():
    random.seed(0)
    corner = np.zeros((HEIGHT, WIDTH), bool)
    corner[:8, :8] = True
    move = ImageToClip([64], zoom=(3, 3), smooth_prob=0)
    clips = [move.transform(still(corner)) for _ in range(20)]
    counts = [masks.masks.sum() for clip in clips for masks in clip['gt_masks']]
    assert min(counts) == 0 < max(counts)
    assert all(len(ids) == 1 for clip in clips for ids in clip['gt_instances_ids'])


@pytest.mark.parametrize(
    ('field', 'value', 'words'),
    [
        ('segmentation', [[1, 2, 3, 4]], "field 'segmentation"),
        ('image_id', 99, '99 is not a known image id'),
        ('category_id', 99, '99 is not a known category id'),
        ('iscrowd', 2, 'neither 0 nor 1'),
        ('id', 0, 'used twice'),
    ],
)
def test_errors_name_broken_annotations(build_stills, field, value, words):
    content = stills_content()
    content['annotations'][1][field] = value
    with pytest.raises(AnnotationError, match=words):
        build_stills(content)


def test_invalid_arguments_raise(build_stills):
    with pytest.raises(ValueError, match='training only'):
        build_stills(stills_content(), test_mode=True)
    with pytest.raises(AnnotationError, match='YouTubeVIS'):
        build_stills({**stills_content(), 'videos': []})
    for wrong in (dict(zoom=(2, 1)), dict(smooth_prob=2), dict(max_angle=-1)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ImageToClip([64], **wrong)
    with pytest.raises(ValueError, match='short_sides'):
        ImageToClip([])
