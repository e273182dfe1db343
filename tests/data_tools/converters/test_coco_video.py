"""Conversion of COCO video files, and errors for invalid ones."""

import copy

import numpy as np
import pytest
from converter_sources import (
    LENGTH,
    assert_masks,
    ball,
    coco_video,
    late_box,
    masks_of,
    write_frames,
    write_json,
)
from pycocotools import mask as mask_utils


@pytest.fixture
def source(tmp_path):
    """Write a file and return its path."""
    return lambda content: write_json(tmp_path / 'source.json', content)


def check(read):
    (video,) = read.videos
    assert video.file_names == tuple(f'cart/{frame:05d}.jpg' for frame in range(LENGTH))
    assert [category.name for category in read.categories] == ['box', 'ball']
    masks = masks_of(read)
    assert_masks(masks['ball'], [ball(frame) for frame in range(LENGTH)])
    assert_masks(masks['box'], [late_box(frame) for frame in range(LENGTH)])


@pytest.mark.parametrize(
    ('position', 'identity'), [('frame_id', 'instance_id'), ('frame_index', 'track_id')]
)
def test_field_names_of_mmdet_and_tao(convert, source, tmp_path, position, identity):
    write_frames(tmp_path / 'cart', [f'{frame:05d}.jpg' for frame in range(LENGTH)])
    file = source(coco_video(position, identity))
    check(convert('coco_video', file, '--images', tmp_path))


def _counts(segmentation, _):
    mask = mask_utils.decode(segmentation)
    borders = np.flatnonzero(np.diff(mask.T.reshape(-1).astype(int), prepend=0))
    runs = np.diff([0, *borders, mask.size]).tolist()
    return {'size': segmentation['size'], 'counts': runs}


def _polygon(_, box):
    x, y, width, height = box
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


@pytest.mark.parametrize('other_form', [_counts, _polygon])
def test_mask_formats(convert, source, other_form):
    content = coco_video()
    for annotation in content['annotations']:
        annotation['segmentation'] = other_form(annotation['segmentation'], annotation['bbox'])
    check(convert('coco_video', source(content)))


def test_boxes_become_masks_only_on_request(convert, refuse, source, capsys):
    content = coco_video()
    for annotation in content['annotations']:
        annotation.pop('segmentation')
    assert '--allow-boxes' in refuse('coco_video', source(content))
    check(convert('coco_video', source(content), '--allow-boxes'))  # both objects are boxes
    assert '6 masks replaced by boxes' in capsys.readouterr().out


def test_videos_without_frames_are_counted(convert, source, capsys):
    content = coco_video()
    content['videos'].append({'id': 8, 'name': 'empty'})
    check(convert('coco_video', source(content)))
    assert '1 videos without frames (empty)' in capsys.readouterr().out


def test_crowds_stay_crowds(convert, source):
    content = coco_video()
    for annotation in content['annotations']:
        annotation['iscrowd'] = int(annotation['instance_id'] == 2)
    read = convert('coco_video', source(content))
    assert {i.category_id: i.iscrowd for i in read.instances} == {1: True, 2: False}


def _first(content):
    return content['annotations'][0]


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (
            lambda c: _first(c).update(category_id=3),
            ["is 'box'", "'ball'", 'use one class per object'],
        ),
        (
            lambda c: _first(c).update(category_id=9),
            ["'category_id'", '9 is not a known category id'],
        ),
        (lambda c: _first(c).update(image_id=9), ["'image_id'", '9 is not a known image id']),
        (lambda c: _first(c).pop('instance_id'), ["'instance_id'", 'track_id']),
        (
            lambda c: _first(c).update(instance_id=2, category_id=3),
            ["'instance_id'", 'twice', '00003.jpg'],
        ),
        (lambda c: c['images'][0].pop('frame_id'), ["'frame_id'", 'frame_index']),
        (lambda c: c['images'][0].update(frame_id=0), ["'frame_id'", '0 is used twice']),
        (lambda c: c['images'][0].update(video_id=1), ["'video_id'", '1 is not a known video id']),
        (lambda c: c['images'][0].update(width=41), ['00003.jpg', '41x24', '40x24']),
        (lambda c: _first(c)['segmentation'].update(size=[9, 9]), ["'segmentation", '[9, 9]']),
        (lambda c: _first(c)['segmentation'].update(counts='%'), ["'segmentation"]),
        (lambda c: c['annotations'].append(copy.copy(_first(c))), ["'id'", '1 is used twice']),
        (lambda c: c.update(annotations=[]), ['no object']),
        (lambda c: c.pop('images'), ["'images'", 'needs no conversion']),
    ],
)
def test_errors_name_the_fault(refuse, source, spoil, words):
    content = coco_video()
    spoil(content)
    said = refuse('coco_video', source(content))
    assert [word for word in words if word not in said] == []


def test_image_folder_is_checked(refuse, source, tmp_path):
    write_frames(tmp_path / 'cart', ['00000.jpg', '00001.jpg', '00003.jpg'])
    file = source(coco_video())
    assert 'cart/00002.jpg: no such image' in refuse('coco_video', file, '--images', tmp_path)
    write_frames(tmp_path / 'b/cart', [f'{frame:05d}.jpg' for frame in range(LENGTH)], (30, 20))
    said = refuse('coco_video', file, '--images', tmp_path / 'b')
    assert '30x20' in said
    assert '40x24' in said
