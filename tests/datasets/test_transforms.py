"""Tests of clip transforms: masks, boxes and ids stay aligned with the painted pixels."""

from functools import cache

import cv2
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmengine.dataset import Compose

from axialvs.datasets.seeding import random_state
from tiny_video_data import COLORS, HEIGHT, WIDTH

LOAD = [{'type': 'LoadFrame'}, {'type': 'LoadClipAnnotations'}]
EXACT = {
    'nothing': [],
    'flip': [{'type': 'RandomFlip', 'prob': 0.5}],
    'flips': [
        {
            'type': 'RandomFlip',
            'prob': [0.3, 0.3, 0.3],
            'direction': ['horizontal', 'vertical', 'diagonal'],
        }
    ],
    'crop': [{'type': 'RandomCrop', 'crop_size': (30, 20), 'allow_negative_crop': True}],
    'crop and flip': [
        {'type': 'RandomFlip', 'prob': 0.5},
        {
            'type': 'RandomCrop',
            'crop_size': (0.4, 0.5),
            'crop_type': 'relative_range',
            'allow_negative_crop': True,
        },
    ],
    'color': [
        {
            'type': 'ClipPhotoMetricDistortion',
            'brightness_delta': 16,
            'contrast_range': (0.8, 1.2),
            'saturation_range': (0.8, 1.2),
            'hue_delta': 9,
            'swap_channels': False,
        }
    ],
}
SCALES = [(10_000, short) for short in (32, 40, 64, 90)]
RESIZED = {
    'short side': [{'type': 'RandomChoiceResize', 'scales': SCALES, 'keep_ratio': True}],
    'range': [
        {
            'type': 'RandomResize',
            'scale': (WIDTH, HEIGHT),
            'ratio_range': (0.7, 2.0),
            'keep_ratio': True,
        }
    ],
    'all': [
        {'type': 'RandomChoiceResize', 'scales': SCALES, 'keep_ratio': True},
        {'type': 'RandomFlip', 'prob': 0.5},
        {'type': 'RandomCrop', 'crop_size': (40, 28), 'allow_negative_crop': True},
    ],
}


@pytest.fixture
def clip(content, build):
    """Load frames 0, 2 and 4 of a video of five, which is written once for each `crowd`."""

    @cache
    def dataset(crowd):
        for annotation in content['annotations'][:3]:
            annotation['iscrowd'] = int(annotation['id'] in crowd)
        return build(content, filter_empty=False)

    def make(frames=(0, 2, 4), crowd=()):
        return dataset(crowd).clip_values(dataset(crowd).get_data_info(0), frames)

    return make


def run(transforms, results, position=0):
    pipeline = Compose(
        [
            {
                'type': 'TransformBroadcaster',
                'share_random_params': True,
                'transforms': [*LOAD, *transforms],
            },
            {'type': 'FilterEmptyInstances'},
        ]
    )
    with random_state(0, position):
        return pipeline(results)


def pixels_of(image: np.ndarray, identifier: int) -> np.ndarray:
    """Return the mask (H, W) of pixels where the instance's channel is brighter."""
    channel = COLORS[identifier].index(255)
    others = np.delete(image.astype(int), channel, axis=2).max(axis=2)
    return image[..., channel] > others + 90


def painted(image: np.ndarray) -> set[int]:
    return {identifier for identifier in COLORS if pixels_of(image, identifier).any()}


def masks_of(results, frame):
    ids = results['gt_instances_ids'][frame].tolist()
    return dict(zip(ids, results['gt_masks'][frame].masks.astype(bool), strict=True))


def draws(transforms, clip, number=12):
    """Return results of several draws that keep an object in the image."""
    results = [run(transforms, clip(), position) for position in range(number)]
    results = [result for result in results if result is not None]
    assert len(results) > number // 2
    return results


@pytest.mark.parametrize('name', EXACT)
def test_masks_are_the_painted_pixels(name, clip):
    for results in draws(EXACT[name], clip):
        for frame, image in enumerate(results['img']):
            masks = masks_of(results, frame)
            assert set(masks) == painted(image)
            for identifier, mask in masks.items():
                np.testing.assert_array_equal(mask, pixels_of(image, identifier))


@pytest.mark.parametrize('name', RESIZED)
def test_resized_masks_cover_the_painted_pixels(name, clip):
    """Images are interpolated and masks are not: borders may differ by about a pixel."""
    scales = set()
    for results in draws(RESIZED[name], clip):
        scale = results['scale_factor'][0][0]
        scales.add(scale)
        border = np.ones((3, 3) if scale <= 1 else (5, 5), np.uint8)
        for frame, image in enumerate(results['img']):
            masks = masks_of(results, frame)
            for identifier in COLORS:
                mask = masks.get(identifier, np.zeros(image.shape[:2], bool)).astype(np.uint8)
                pixels = pixels_of(image, identifier).astype(np.uint8)
                assert not (cv2.erode(mask, border) & ~pixels).any()
                assert not (pixels & ~cv2.dilate(mask, border)).any()
    assert len(scales) > 1


@pytest.mark.parametrize('name', [*EXACT, *RESIZED])
def test_all_frames_share_random_parameters(name, clip):
    """A clip of three equal frames stays a clip of three equal frames."""
    transforms = {**EXACT, **RESIZED}[name]
    outcomes = set()
    for position in range(8):
        results = run(transforms, clip(frames=(2, 2, 2)), position)
        if results is not None:
            assert all((image == results['img'][0]).all() for image in results['img'])
            first = results['gt_masks'][0].masks
            assert all((masks.masks == first).all() for masks in results['gt_masks'])
            outcomes.add(results['img'][0].tobytes())
    assert (len(outcomes) > 1) == (name != 'nothing')


@pytest.mark.parametrize('name', ['crop', 'all'])
def test_boxes_labels_and_ids_stay_with_their_masks(name, clip):
    for results in draws({**EXACT, **RESIZED}[name], clip):
        for frame in range(3):
            masks, boxes = results['gt_masks'][frame].masks, results['gt_bboxes'][frame]
            for mask, box in zip(masks, boxes, strict=True):
                y, x = np.nonzero(mask)
                assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            ids = results['gt_instances_ids'][frame]
            assert results['gt_bboxes_labels'][frame].tolist() == (ids > 0).astype(int).tolist()


def test_object_id_is_constant_across_frames(clip):
    results = run([], clip())
    assert [ids.tolist() for ids in results['gt_instances_ids']] == [[0, 9], [0, 7, 9], [0, 7]]


def test_clip_without_targets_is_redrawn(clip):
    corner = [{'type': 'RandomCrop', 'crop_size': (4, 4), 'allow_negative_crop': True}]
    results = [run(corner, clip(), position) for position in range(40)]
    left = [result for result in results if result is not None]
    assert 0 < len(left) < 40
    assert all(sum(map(len, result['gt_instances_ids'])) for result in left)
    # A crowd is not a target.
    assert run([], clip(frames=(0, 0), crowd=(0, 9))) is None


def test_image_dtype_stays_uint8(clip):
    strong = TRANSFORMS.build({'type': 'ClipPhotoMetricDistortion', 'brightness_delta': 120})
    changed = set()
    for position in range(10):
        image = cv2.imread(clip()['img_path'][0])
        with random_state(0, position):
            results = strong({'img': image})
        assert results['img'].dtype == np.uint8
        changed.add(results['img'].tobytes())
    assert len(changed) > 5


def test_missing_image_error_names_file_and_video(clip):
    results = clip()
    results['img_path'][1] = 'nowhere/v1/00002.png'
    with pytest.raises(FileNotFoundError, match=r'nowhere/v1/00002\.png: .*\(video 1, frame 2\)'):
        run([], results)


def test_invalid_image_error_names_file_and_video(clip, tmp_path):
    results = clip()
    results['img_path'][1] = str(tmp_path / 'note.png')
    (tmp_path / 'note.png').write_text('not an image')
    with pytest.raises(ValueError, match=r'note\.png: not a readable image.*\(video 1, frame 2\)'):
        run([], results)


@pytest.mark.parametrize('end', [b'', b'\0' * 20])
def test_truncated_jpeg_raises_but_trailing_data_is_ignored(clip, tmp_path, end):
    """OpenCV decodes the available part silently."""
    whole = cv2.imencode('.jpg', cv2.imread(clip()['img_path'][1]))[1].tobytes()
    results = clip()
    path = tmp_path / 'x.jpg'
    results['img_path'][1] = str(path)
    path.write_bytes(whole + end)
    run([], results)
    path.write_bytes(whole[:-20] + end)
    assert cv2.imread(str(path)) is not None
    with pytest.raises(ValueError, match=r'x\.jpg: .*truncated \(video 1, frame 2\)'):
        run([], results)


def test_image_of_a_different_size_is_refused(clip):
    results = clip()
    results['height'] = [HEIGHT + 1] * 3
    with pytest.raises(ValueError, match=r'\(48, 64\), but its video 1 has \(49, 64\)'):
        run([], results)


def test_empty_instance_is_removed_from_its_frame_only(clip):
    """This occurs after a crop into the empty corner of an object's box."""
    results = run([], clip(frames=(2, 3)))
    results['gt_masks'][1].masks[0] = 0
    results = TRANSFORMS.build({'type': 'FilterEmptyInstances'})(results)
    assert [ids.tolist() for ids in results['gt_instances_ids']] == [[0, 7, 9], [7]]
    assert [labels.tolist() for labels in results['gt_bboxes_labels']] == [[0, 1, 1], [1]]
    assert [len(masks) for masks in results['gt_masks']] == [3, 1]
    assert [len(boxes) for boxes in results['gt_bboxes']] == [3, 1]
