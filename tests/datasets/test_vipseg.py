"""VIPSeg in both layouts: labels of every pixel, crowds, label 200, copy-paste, conversion."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from PIL import Image

from axialvs.data_tools.converters.vipseg import convert_split
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.coco import CocoPanopticDataset
from axialvs.datasets.seeding import SampleIndex
from axialvs.datasets.vipseg import VIPSegDataset
from axialvs.models.ground_truth import collate_clip_instances
from axialvs.utils.errors import AxialVSError
from tiny_video_data import batches, same
from tiny_vipseg import (
    CATEGORIES,
    DOG,
    GRASS,
    HEIGHT,
    LENGTH,
    OTHER_DOG,
    SKY,
    WIDTH,
    values,
    write_downloaded,
)

LOAD = [{'type': 'LoadFrame'}, {'type': 'LoadPanopticLabels'}]


def pipeline(*transforms):
    shared = {'share_random_params': True, 'transforms': [*LOAD, *transforms]}
    return [{'type': 'TransformBroadcaster', **shared}, {'type': 'FilterEmptyInstances'}]


PACK = {'type': 'PackClip'}


@pytest.fixture
def root(tmp_path):
    return write_downloaded(tmp_path)


@pytest.fixture
def converted(root):
    categories = root / 'panoVIPSeg_categories.json'
    convert_split(root, root / 'p', ['a', 'b'], 'train', categories, short_side=HEIGHT)
    return root / 'p'


def as_downloaded(root, **kwargs):
    prefix = {'img_path': 'imgs', 'mask_path': 'panomasks'}
    kwargs = {'clip_length': 2, 'categories_file': 'panoVIPSeg_categories.json', **kwargs}
    return VIPSegDataset('train.txt', data_root=str(root), data_prefix=prefix, **kwargs)


def at_720p(root, **kwargs):
    prefix = {'img_path': 'images', 'mask_path': 'panomasksRGB'}
    name = 'panoptic_gt_VIPSeg_train.json'
    kwargs = {'clip_length': 2, **kwargs}
    return VIPSegDataset(name, data_root=str(root), data_prefix=prefix, **kwargs)


@pytest.mark.parametrize('layout', ['as downloaded', '720p'])
def test_every_pixel_has_segment_and_label(root, converted, layout):
    if layout == '720p':
        dataset = at_720p(converted, pipeline=pipeline())
    else:
        dataset = as_downloaded(root, pipeline=pipeline())
    assert dataset.metainfo['classes'] == ('sky', 'grass', 'dog')
    assert len(dataset) == 2 * (LENGTH - 1)
    clip = dataset[1]
    assert clip['frame_id'] == [1, 2]
    for t, frame in enumerate((1, 2)):
        expected = values(frame)
        expected[expected == 200] = 0
        found = np.zeros((HEIGHT, WIDTH), int)
        for identifier, mask in zip(
            clip['gt_instances_ids'][t], clip['gt_masks'][t].masks, strict=True
        ):
            assert not found[mask > 0].any()
            found[mask > 0] = identifier
        np.testing.assert_array_equal(found, expected)
        labels = dict(zip(clip['gt_instances_ids'][t], clip['gt_bboxes_labels'][t], strict=True))
        assert labels == {SKY: 0, GRASS: 1, DOG: 2, OTHER_DOG: 2}
        assert clip['gt_is_thing'][t].tolist() == [False, False, True, True]


def test_crowds_are_ignored_and_unlisted_segments_reported(converted):
    path = converted / 'panoptic_gt_VIPSeg_train.json'
    content = json.loads(path.read_text())
    for video in content['annotations']:
        for frame in video['annotations']:
            frame['segments_info'][2]['iscrowd'] = 1
    path.write_text(json.dumps(content))
    clip = at_720p(converted, pipeline=pipeline())[0]
    assert clip['gt_ignore_flags'][0].tolist() == [False, False, True, False]
    del content['annotations'][0]['annotations'][0]['segments_info'][0]
    for frame in content['annotations'][0]['annotations']:
        frame['segments_info'] = [s for s in frame['segments_info'] if s['id'] != SKY]
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=r'00000\.png.* 1, '):
        at_720p(converted, pipeline=pipeline())[0]


def test_stuff_of_one_class_is_one_segment_in_all_frames(converted):
    """Frame 1 has a second grass segment; its id is the smallest of the video, not of a frame."""
    path = converted / 'panoptic_gt_VIPSeg_train.json'
    content = json.loads(path.read_text())
    mask = converted / 'panomasksRGB/a/00001.png'
    picture = np.asarray(Image.open(mask)).copy()
    picture[:3] = 77, 0, 0
    Image.fromarray(picture).save(mask)
    frames = content['annotations'][0]['annotations']
    frames[1]['segments_info'].append({'id': 77, 'category_id': 1, 'iscrowd': 0})
    path.write_text(json.dumps(content))
    clip = at_720p(converted, pipeline=pipeline())[0]
    assert [ids.tolist() for ids in clip['gt_instances_ids']] == [[SKY, GRASS, DOG, OTHER_DOG]] * 2
    grass = clip['gt_masks'][1].masks[1]
    expected = values(1) == GRASS
    expected[:3] = True
    np.testing.assert_array_equal(grass, expected)


def test_targets_of_the_head(converted):
    packed = [*pipeline(), PACK]
    sample = at_720p(converted, pipeline=packed)[0]['data_samples']
    targets = collate_clip_instances(sample, torch.device('cpu'), 3, stride=4)
    assert targets.labels.tolist() == [0, 1, 2, 2]
    for row, identifier in enumerate((SKY, GRASS, DOG, OTHER_DOG)):
        expected = np.stack([(values(t) == identifier)[::4, ::4] for t in (0, 1)])
        np.testing.assert_array_equal(targets.masks[row], expected)


def test_mmdets_transforms_keep_image_and_labels_together(converted):
    """Images are painted in label colors, so that any misplaced pixel is detected."""
    for video in ('a', 'b'):
        for frame in range(LENGTH):
            name = f'{video}/{frame:05d}'
            mask = cv2.imread(str(converted / f'panomasksRGB/{name}.png'))
            cv2.imwrite(str(converted / f'images/{name}.png'), mask)
    augment = pipeline(
        dict(
            type='RandomResize',
            scale=(WIDTH, HEIGHT),
            ratio_range=(0.5, 2.0),
            keep_ratio=True,
            interpolation='nearest',
        ),
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomCrop', crop_size=(30, 18), allow_negative_crop=True),
    )
    dataset = at_720p(converted, pipeline=augment)
    dataset._image_path = lambda name: str(converted / 'images' / name.replace('.jpg', '.png'))
    shapes = set()
    for position in range(12):
        clip = dataset[SampleIndex(position=position, clip=position % 6, seed=0)]
        assert len({image.shape for image in clip['img']}) == 1
        shapes.add(clip['img'][0].shape)
        for image, masks, ids in zip(
            clip['img'], clip['gt_masks'], clip['gt_instances_ids'], strict=True
        ):
            drawn = sum(m.astype(int) * i for m, i in zip(masks.masks, ids.tolist(), strict=True))
            np.testing.assert_array_equal(drawn, image.astype(int) @ [65536, 256, 1])
    assert len(shapes) > 3


def test_copy_paste_is_reproducible(converted):
    crop = {'type': 'RandomCrop', 'crop_size': (20, 30), 'allow_negative_crop': True}
    load = pipeline(crop)
    paste = [{'type': 'ClipCopyPaste'}, {'type': 'FilterEmptyInstances'}, PACK]
    one, other = (at_720p(converted, load_pipeline=load, pipeline=paste) for _ in range(2))
    one[SampleIndex(3, 0, 0)]
    sample = one[SampleIndex(5, 1, 7)]
    assert same(sample, other[SampleIndex(5, 1, 7)])
    assert not same(sample, other[SampleIndex(6, 1, 7)])
    instances = sample['data_samples'][0].gt_instances
    masks = instances.masks.masks
    assert masks.sum(0).max() == 1  # no pixel in two segments
    assert len(set(instances.instances_ids.tolist())) == len(instances)


def test_test_clips_have_no_labels(converted):
    dataset = at_720p(converted, test_mode=True, pipeline=[*Compose([]).transforms])
    clip = dataset[0]
    assert 'panoptic_path' not in clip
    assert clip['frame_id'] == [0, 1]


def test_list_of_videos_needs_categories(root):
    with pytest.raises(ValueError, match='categories_file'):
        as_downloaded(root, categories_file=None)


def test_coco_panoptic(converted, tmp_path):
    content = json.loads((converted / 'panoptic_gt_VIPSeg_train.json').read_text())
    frame = content['annotations'][1]['annotations'][2]
    images = [
        {'id': 7, 'file_name': 'b/00002.jpg', 'width': WIDTH, 'height': HEIGHT},
        {'id': 8, 'file_name': 'b/00003.jpg', 'width': WIDTH, 'height': HEIGHT},
    ]
    annotation = {**frame, 'image_id': 7, 'file_name': 'b/00002.png'}
    coco = {'images': images, 'annotations': [annotation], 'categories': CATEGORIES}
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    prefix = {'img_path': 'p/images', 'mask_path': 'p/panomasksRGB'}
    dataset = CocoPanopticDataset(
        'coco.json', data_root=str(tmp_path), data_prefix=prefix, pipeline=pipeline()
    )
    assert len(dataset) == 1
    clip = dataset[0]
    assert clip['video_id'] == [7]
    assert sorted(clip['gt_instances_ids'][0].tolist()) == [SKY, GRASS, DOG, OTHER_DOG]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FRAME = 'video b, frame 3'


@pytest.mark.parametrize(
    ('folder', 'spoil', 'error', 'message'),
    [
        ('images', lambda path: path.unlink(), FileNotFoundError, FRAME),
        ('images', cut, AxialVSError, FRAME),
        ('images', lambda path: path.write_bytes(b'no image'), AxialVSError, FRAME),
        ('images', lambda path: cv2.imwrite(str(path), np.zeros((8, 8, 3))), AxialVSError, '8, 8'),
        ('panomasksRGB', lambda path: path.unlink(), FileNotFoundError, ''),
        ('panomasksRGB', cut, AnnotationError, ''),
        ('panomasksRGB', lambda path: path.write_bytes(b'no image'), AnnotationError, ''),
        (
            'panomasksRGB',
            lambda path: cv2.imwrite(str(path), np.zeros((8, 8, 3))),
            AnnotationError,
            FRAME,
        ),
    ],
)
def test_errors_name_broken_files(converted, folder, spoil, error, message):
    (path,) = (converted / folder / 'b').glob('00003.*')
    spoil(path)
    dataset = at_720p(converted, pipeline=pipeline())
    with pytest.raises(error, match=f'b/{path.name}.*{message}'):
        dataset[len(dataset) - 1]


def test_missing_images_are_checked_on_request(converted):
    (converted / 'images' / 'b' / '00003.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'b/00003\.jpg: no such image \(video b of'):
        len(at_720p(converted, check_images=True))


def test_too_many_redraws_error_names_the_video(converted):
    path = converted / 'panoptic_gt_VIPSeg_train.json'
    content = json.loads(path.read_text())
    del content['annotations'][0]
    path.write_text(json.dumps(content))
    for mask in (converted / 'panomasksRGB' / 'b').iterdir():
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(mask)
    dataset = at_720p(converted, pipeline=[*pipeline(), PACK], max_redraws=3)
    with pytest.raises(AxialVSError, match=r"4 draws of clips of videos \['b'\]"):
        dataset[0]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_resumed_run_continues_with_the_same_batches(converted, num_workers):
    flip = {'type': 'RandomFlip', 'prob': 0.5}
    paste = [{'type': 'ClipCopyPaste'}, {'type': 'FilterEmptyInstances'}, PACK]
    dataset = at_720p(converted, load_pipeline=pipeline(flip), pipeline=paste)
    whole = batches(dataset, 0, 6)
    assert all(map(same, whole[4:], batches(dataset, num_workers, 2, skip=4)))
    assert not same(whole[0], whole[1])
