"""Checks of datasets: injected faults are found, counted and named; valid data pass."""

import copy
import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

from axialvs.data_tools.checking.check import check_dataset
from axialvs.data_tools.checking.rules import RULES
from axialvs.data_tools.checking.target import Target, targets_of_config
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import read_annotations
from axialvs.datasets.classes import match_classes
from axialvs.datasets.moving_shapes import generate_dataset
from tiny_stills import BIG_ID, stills_content, write_stills
from tiny_video_data import HEIGHT, WIDTH, counts_of, make_content, object_mask, rle_of

EMPTY = np.zeros((HEIGHT, WIDTH), dtype=bool)
DOT = EMPTY.copy()
DOT[20:23, 30:33] = True


@pytest.fixture
def content():
    """Return a valid dataset whose boxes fit their masks."""
    content = make_content()
    for annotation in content['annotations']:
        annotation['bboxes'] = [
            mask and mask_utils.toBbox(mask).tolist() for mask in annotation['segmentations']
        ]
    return content


def check(path, **options):
    names = ('open_images', 'min_area', 'workers')
    settings = {name: options.pop(name) for name in names if name in options}
    return check_dataset(Target(str(path), **options), show_progress=False, **settings)


def found(report) -> dict[str, list[str]]:
    """Return the messages of all findings by kind."""
    kinds = report.findings.by_rule
    return {kind: [str(finding) for finding in kinds[kind]] for kind in kinds if kinds[kind]}


def test_valid_data_have_no_findings(content, write_json, write_images):
    report = check(
        write_json(content), images=write_images(content), classes=['box', 'disc'], num_frames=5
    )
    assert found(report) == {}
    assert report.as_text().endswith('nothing wrong was found.')
    numbers = report.statistics()
    assert (numbers['videos'], numbers['frames'], numbers['instances']) == (2, 11, 6)
    assert [(c['name'], c['instances'], c['videos'], c['masks']) for c in numbers['classes']] == [
        ('box', 4, 2, 13),
        ('disc', 2, 2, 11),
    ]
    assert numbers['lengths'] == {'min': 5, 'median': 5.5, 'mean': 5.5, 'max': 6}


def set_(*path, to):
    """Return a change that sets the value at a path of keys."""

    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = to

    return change


def mask(frame, to, instance=1):
    return set_('annotations', instance, 'segmentations', frame, to=to)


def delete(*path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def copy_mask(content):
    first, second = content['annotations'][:2]
    second['segmentations'][3] = copy.deepcopy(first['segmentations'][3])
    second['bboxes'][3] = first['bboxes'][3]
    second['areas'][3] = first['areas'][3]


def swap_frames(content):
    names = content['videos'][1]['file_names']
    names[2], names[4] = names[4], names[2]


def hide(content):
    for field in ('segmentations', 'areas', 'bboxes'):
        content['annotations'][3][field] = [None] * 6


def keep_videos_objects(content):
    content['annotations'] = [a for a in content['annotations'] if a['video_id'] == 2]


def only_crowds(content):
    for annotation in content['annotations']:
        annotation['iscrowd'] = 1


SMALL = {'size': [10, 10], 'counts': [100]}
BAD = {'size': [HEIGHT, WIDTH], 'counts': 'abc'}
# Kind of finding -> the change that causes it, and a part of its message.
CASES = {
    'layout': (set_('videos', 0, 'width', to='64'), "video 1: width: '64' is not an integer"),
    'duplicate-id': (
        set_('annotations', 2, 'id', to=0),
        'video 1, instance 0: id: 0 is used twice',
    ),
    'duplicate-name': (
        set_('categories', 0, 'name', to='BOX'),
        "category 8: name: 'box' is also the name of category 3",
    ),
    'unknown-video': (
        set_('annotations', 4, 'video_id', to=9),
        'video_id: 9 is not a known video id',
    ),
    'unknown-category': (
        set_('annotations', 4, 'category_id', to=1),
        '1 is not a known category id',
    ),
    'list-length': (
        delete('annotations', 1, 'areas', 0),
        'video 1, instance 7: areas: 4 entries, but the video has 5 frames',
    ),
    'size-differs': (set_('annotations', 3, 'height', to=40), 'height: 40, but its video has 48'),
    'mask-size': (mask(3, SMALL), 'video 1, instance 7: segmentations[3].size: [10, 10], but'),
    'mask-broken': (
        mask(3, BAD),
        'video 1, instance 7: segmentations[3].counts: the compressed',
    ),
    'nothing-to-learn': (only_crowds, ''),
    'name-repaired': (
        set_('categories', 1, 'name', to='cafÃ©'),
        "category 8: 'cafÃ©' is changed to 'café'",
    ),
    'category-unused': (
        lambda content: content['categories'].append({'id': 5, 'name': 'star'}),
        'category 5 (star)',
    ),
    'video-empty': (keep_videos_objects, 'video 1'),
    'frame-twice': (
        set_('videos', 0, 'file_names', 3, to='v1/00001.png'),
        'video 1: v1/00001.png is frame 1 and 3',
    ),
    'frame-order': (swap_frames, 'video 2: frame 2 is v2/00004.png, expected v2/00002.png'),
    'track-unseen': (hide, 'video 2, instance 10'),
    'mask-empty': (mask(3, rle_of(EMPTY)), 'video 1, instance 7, frame 3'),
    'mask-twice': (copy_mask, 'video 1, instance 7, frame 3: same mask as video 1, '),
    'box-misses-mask': (
        set_('annotations', 0, 'bboxes', 2, to=[0, 0, 5, 5]),
        'video 1, instance 0, frame 2: box [0, 0, 5, 5], but the box of the mask is [8, 16, '
        '17, 17]',
    ),
    'box-without-mask': (set_('annotations', 1, 'bboxes', 0, to=[0, 0, 5, 5]), 'frame 0: box'),
    'area-differs': (set_('annotations', 0, 'areas', 1, to=4), 'area 4, but the mask has'),
    'crowd': (set_('annotations', 5, 'iscrowd', to=1), 'video 2, instance 19: 3 masks'),
}


@pytest.mark.parametrize('kind', CASES)
def test_injected_fault_is_found(kind, content, write_json):
    change, expected = CASES[kind]
    change(content)
    path = write_json(content)
    report = check(path)
    assert expected in found(report)[kind][0]
    if kind != 'nothing-to-learn':
        assert len(found(report)[kind]) == 1
    # If the reader of training fails, its error is among the findings.
    if RULES[kind].severity == 'error' and kind != 'nothing-to-learn':
        with pytest.raises(AnnotationError) as stop:
            match_classes(read_annotations(path).categories, None, path)
        assert stop.value.kind == kind
    else:
        read_annotations(path)
    assert RULES[kind].title in report.as_text()


def test_all_of_several_faults_are_found(content, write_json):
    changes = ('layout', 'duplicate-id', 'unknown-category', 'size-differs', 'frame-order', 'crowd')
    for kind in changes[1:]:
        CASES[kind][0](content)
    for frame in (2, 3, 4):
        mask(frame, SMALL)(content)
    mask(1, BAD, instance=5)(content)
    delete('videos', 0, 'file_names')(content)
    content['annotations'].append('nothing')
    report = check(write_json(content))
    kinds = found(report)
    assert kinds.keys() >= {*changes, 'mask-size', 'mask-broken'}
    assert [text.partition(':')[0] for text in kinds['mask-size']] == ['video 1, instance 7'] * 3
    assert 'video 1: file_names: is missing' in kinds['layout']
    assert "annotations[6]: 'nothing' is not a JSON object" in kinds['layout']
    # Consequences of a broken mask are not reported separately.
    assert 'box-without-mask' not in kinds
    assert 'track-unseen' not in kinds
    text = report.as_text(examples=2)
    assert '3 x mask of a different size' in text
    assert '... and 1 more' in text
    errors = sum(len(v) for k, v in kinds.items() if RULES[k].severity == 'error')
    assert report.as_json()['errors'] == errors
    assert f'{errors} errors' in text.splitlines()[-1]


def test_every_kind_of_segmentation_is_measured(content, write_json):
    square = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]
    content['annotations'][0].update(
        segmentations=[rle_of(object_mask(0, 0)), counts_of(object_mask(0, 1)), square, None, None],
        areas=[None, None, 100, None, None],
        bboxes=[None, [6, 16, 17, 17], [10, 10, 10, 10], None, None],
    )
    assert found(check(write_json(content))) == {}
    content['annotations'][0]['bboxes'][1:3] = [[9, 16, 17, 17], [15, 15, 9, 9]]
    assert len(found(check(write_json(content)))['box-misses-mask']) == 2


def test_tiny_objects(content, write_json):
    content['annotations'][1]['segmentations'] = [None, None, None, rle_of(DOT), rle_of(DOT)]
    for field in ('areas', 'bboxes'):
        del content['annotations'][1][field]
    path = write_json(content)
    assert found(check(path))['object-tiny'] == ['video 1, instance 7: at most 9 pixels']
    assert 'object-tiny' not in found(check(path, min_area=9))


def test_classes_and_clips(content, write_json):
    report = check(write_json(content), classes=['disc', 'star'], num_frames=6)
    assert found(report) == {
        'class-without-category': ["class 'star'"],
        'category-without-class': ['category 8 (box)'],
        'video-short': ['video 1: 5 frames, but clips have 6'],
    }
    assert report.findings.count('error') == 2
    allowed = check(write_json(content), classes=['disc', 'star'], allow_unlisted=True)
    assert (allowed.findings.count('error'), allowed.findings.count('warning')) == (0, 2)
    # Objects whose category is no class are not trained on.
    for annotation in content['annotations'][:3]:
        annotation['category_id'] = 8
    allowed = check(write_json(content), classes=['disc'], allow_unlisted=True)
    assert found(allowed)['video-empty'] == ['video 1']


def test_file_without_annotations(content, write_json):
    content['annotations'] = None
    path = write_json(content)
    assert check(path).findings.count('error') == 0
    assert found(check(path, needs_annotations=True)).keys() == {'no-annotations'}
    assert check(path, needs_annotations=True).findings.count('error') == 1


@pytest.mark.parametrize('key', ['videos', 'categories'])
def test_file_without_required_sections(content, write_json, key):
    del content[key]
    report = check(write_json(content))
    assert f'{key}: is missing' in found(report)['layout']
    content['images'] = []
    content['videos'] = []
    assert 'COCO-video' in found(check(write_json(content)))['layout'][0]


def test_file_without_a_usable_video(content, write_json):
    for video in content['videos']:
        video['id'] = f'v{video["id"]}'
    report = check(write_json(content))
    assert report.statistics()['videos'] == 0
    text = report.as_text()
    assert "video 'v1': id: 'v1' is not an integer" in text
    assert text.endswith(report.verdict())


def test_images(content, write_json, write_images, tmp_path):
    folder = Path(write_images(content))
    path = write_json(content)
    names = content['videos'][0]['file_names']
    (folder / names[0]).unlink()
    (folder / names[1]).rename(folder / names[1].replace('.png', '.JPG'))
    data = (folder / names[2]).read_bytes()
    (folder / names[2]).write_bytes(data[: len(data) // 2])
    (folder / names[3]).write_text('no image')
    cv2.imwrite(str(folder / names[4]), np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8))
    names = content['videos'][1]['file_names']
    (folder / names[0]).write_bytes(b'')
    (folder / names[5]).write_bytes((folder / names[4]).read_bytes())
    texts = found(check(path, images=str(folder)))
    assert [text.partition(':')[0] for text in texts['image-missing']] == [
        'video 1, frame 0',
        'video 1, frame 1',
    ]
    assert texts['image-missing'][1].endswith('the folder has 00001.JPG')
    assert len(texts['image-truncated']) == 1
    assert 'video 1, frame 2' in texts['image-truncated'][0]
    assert [text[:16] for text in texts['image-unreadable']] == [
        'video 1, frame 3',
        'video 2, frame 0',
    ]
    assert '66x48, but 64x48 in the annotation file' in texts['image-size'][0]
    assert texts['frame-same'] == ['video 2, frame 5: v2/00005.png is identical to v2/00004.png']

    fast = found(check(path, images=str(folder), open_images=False))
    assert fast.keys() == {'image-missing', 'image-unreadable'}
    assert len(fast['image-unreadable']) == 1
    none = found(check(path, images=str(tmp_path / 'none')))
    assert len(none['image-missing']) == 11
    assert 'the folder does not exist' in none['image-missing'][0]


def test_truncated_jpeg_and_rotated_jpeg(content, write_json, tmp_path):
    """OpenCV silently reads half a JPEG, and rotates images by their EXIF data."""
    content['videos'] = content['videos'][:1]
    content['annotations'] = content['annotations'][:3]
    content['videos'][0]['file_names'] = [f'{frame}.jpg' for frame in range(5)]
    noise = np.random.default_rng(0).integers(0, 255, (WIDTH, HEIGHT, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    for frame in range(5):
        Image.fromarray(noise + np.uint8(frame)).save(tmp_path / f'{frame}.jpg', exif=turned)
    assert found(check(write_json(content), images=str(tmp_path))) == {}
    data = (tmp_path / '3.jpg').read_bytes()
    (tmp_path / '3.jpg').write_bytes(data[: len(data) // 2])
    assert cv2.imread(str(tmp_path / '3.jpg')) is not None
    texts = found(check(write_json(content), images=str(tmp_path)))
    assert list(texts) == ['image-truncated']
    assert texts['image-truncated'][0].startswith('video 1, frame 3: ')


def test_stills(write_json, tmp_path):
    content = stills_content()
    images = write_stills(content, tmp_path)
    report = check(write_json(content), images=images, classes='2021')
    assert report.layout == 'COCO'
    texts = found(report)
    assert report.findings.count('error') == 0
    assert texts['video-empty'] == ['image 12']  # of the mouse
    assert texts['category-unused'] == ['category 6 (bus)']
    assert texts['crowd'] == ['image 13, annotation 5']
    assert texts['category-dropped'] == ['category 6 (bus)', 'category 74 (mouse)']
    assert len(texts['class-without-stills']) == 38
    content['annotations'][0]['segmentation'] = []
    content['annotations'][1]['category_id'] = 99
    content['annotations'][2]['image_id'] = 12345
    content['annotations'][3]['bbox'] = [0, 0, 9, 9]
    content['images'][0]['width'] += 1
    texts = found(check(write_json(content), images=images))
    assert texts['mask-broken'] == [
        'image 10, annotation 0: segmentation: the list of polygons is empty; an absent object is '
        'null'
    ]
    assert '99 is not a known category id' in texts['unknown-category'][0]
    assert '12345 is not a known image id' in texts['unknown-image'][0]
    assert texts['box-misses-mask'][0].startswith(f'image 13, annotation {BIG_ID + 3}: box [0, ')
    assert texts['image-size'][0].startswith('image 10: ')


def test_check_targets_of_configs():
    (target,) = targets_of_config('axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021.py')
    assert target.ann_file == 'data/youtube_vis_2021/train/instances.json'
    assert target.images == 'data/youtube_vis_2021/train/JPEGImages/'
    assert (target.classes, target.num_frames, target.needs_annotations) == ('2021', 20, True)
    videos, stills = targets_of_config('axialvs/axialvs-wc_r50_8xb1-15k-coco-joint_youtubevis2021')
    assert videos.ann_file == target.ann_file
    assert stills.ann_file == 'data/coco/annotations/instances_train2017.json'
    options = {'val_dataloader.dataset.clip_length': 7}
    (target,) = targets_of_config('axialvs/axialvs-wc_r50_8xb1-10k_ovis.py', 'val', options)
    assert (target.num_frames, target.needs_annotations) == (7, False)
    with pytest.raises(ValueError, match='no val_dataloader'):
        targets_of_config('axialvs/axialvs-wc_tiny_1xb4-400_movingshapes.py', 'val')


def png_header(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header declares a large image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + checksum

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(b'abc')), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


@pytest.mark.parametrize('size', [10**8, 10**5, 70_000])
@pytest.mark.parametrize('kind', ['polygon', 'counts'])
def test_absurd_sizes_are_errors(content, write_json, size, kind):
    content['videos'][0].update(width=size, height=size)
    for annotation in content['annotations'][:3]:
        annotation.update(width=size, height=size)
        entry = [[1.0, 1.0, size - 1.0, 1.0, size - 1.0, size - 1.0]]
        if kind == 'counts':
            entry = {'size': [size, size], 'counts': [0, size * size]}
        annotation['segmentations'] = [entry] * 5
    path = write_json(content)
    assert len(found(check(path))['layout']) == 2
    with pytest.raises(AnnotationError, match=str(size)):
        read_annotations(path)


def test_absurd_video_length_is_an_error(content, write_json):
    content['videos'][0]['length'] = 10**9
    path = write_json(content)
    assert any('1000000000' in text for text in found(check(path))['layout'])
    with pytest.raises(AnnotationError, match='1000000000'):
        read_annotations(path)


@pytest.mark.parametrize('size', [(100_000, 100_000), (30_000, 30_000)])
def test_absurd_image_headers_do_not_abort_the_check(content, write_json, write_images, size):
    folder = Path(write_images(content))
    name = content['videos'][0]['file_names'][2]
    (folder / name).write_bytes(png_header(*size))
    (folder / content['videos'][1]['file_names'][0]).unlink()
    texts = found(check(write_json(content), images=str(folder)))
    assert len(texts.pop('image-missing')) == 1
    ((rule, (text,)),) = texts.items()
    assert rule in ('image-unreadable', 'image-size')
    assert name in text


def test_invalid_file_names(content, write_json, tmp_path):
    for number, name in enumerate(['\ud800.png', 'a\0.png', ' ']):
        content['videos'][0]['file_names'][number] = name
    content['categories'][0]['name'] = '\udfff'
    path = write_json(content)
    texts = found(check(path, images=str(tmp_path)))
    assert len(texts['layout']) == 2
    check(path).as_text().encode()
    with pytest.raises(AnnotationError, match='udfff'):
        read_annotations(path)


def test_numbers_of_thousands_of_digits(tmp_path):
    path = tmp_path / 'huge.json'
    path.write_text('{"videos": [{"id": ' + '9' * 5000 + '}]}')
    with pytest.raises(AnnotationError, match=r'huge\.json'):
        check(path)


def test_objects_of_a_single_frame(content, write_json):
    for annotation in content['annotations']:
        seen = next(t for t, mask in enumerate(annotation['segmentations']) if mask)
        for field in ('segmentations', 'areas', 'bboxes'):
            annotation[field] = [v if t == seen else None for t, v in enumerate(annotation[field])]
    assert found(check(write_json(content)))['identity-lost'] == ['6 of 6 objects']


@pytest.mark.parametrize(('number', 'errors'), [(3, 0), (2, 0), (1, 1)])
def test_class_count_must_match_the_model(content, write_json, number, errors):
    report = check(write_json(content), num_classes=number, source='my.py')
    assert ('class-count' in found(report)) == (number != 2)
    assert report.findings.count('error') == errors


def test_number_of_classes_of_configs():
    (target,) = targets_of_config('axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py')
    assert target.num_classes == 5


def test_duplicate_names_can_be_scored_but_not_trained(content, write_json):
    content['categories'].append({'id': 4, 'name': 'BOX'})
    path = write_json(content)
    annotations = read_annotations(path)
    assert len(annotations.categories) == 3
    with pytest.raises(AnnotationError, match='category 4'):
        match_classes(annotations.categories, None, path)
    assert 'duplicate-name' in found(check(path))


@pytest.mark.parametrize(
    ('content', 'remedy'),
    [
        ({'videos': {'a': {'objects': {}}}}, 'axialvs convert masks'),
        ({'shapes': [], 'imagePath': 'a.jpg', 'version': '5.0'}, 'labelme'),
    ],
)
def test_files_of_other_tools_are_recognized(write_json, content, remedy):
    path = write_json(content)
    assert remedy in found(check(path))['layout'][0]
    with pytest.raises(AnnotationError, match=remedy):
        read_annotations(path)


def test_still_images_are_no_training_videos(write_json):
    path = write_json(stills_content())
    with pytest.raises(AnnotationError, match='CocoClips'):
        read_annotations(path)


def test_remedy_for_a_stray_point_is_not_null(content, write_json):
    polygon = [10.0, 10.0, 20.0, 10.0, 20.0, 20.0]
    content['annotations'][0]['segmentations'][0] = [[3.0, 3.0], polygon]
    report = check(write_json(content))
    assert 'keep the other' in found(report)['polygon-broken'][0]
    assert 'null' not in RULES['polygon-broken'].remedy


def test_images_are_decoded_as_in_training(content, write_json, tmp_path):
    """Pillow reads formats that OpenCV, and hence training, does not."""
    content['videos'] = content['videos'][:1]
    content['annotations'] = content['annotations'][:3]
    content['videos'][0]['file_names'] = [f'{frame}.pcx' for frame in range(5)]
    for frame in range(5):
        Image.new('RGB', (WIDTH, HEIGHT), (frame, 0, 0)).save(tmp_path / f'{frame}.pcx')
    texts = found(check(write_json(content), images=str(tmp_path)))
    assert {rule: len(of_rule) for rule, of_rule in texts.items()} == {'image-unreadable': 5}


def test_polygons_without_a_pixel(content, write_json):
    content['annotations'][0]['segmentations'][1] = [[3.0, 3.0, 3.1, 3.0, 3.1, 3.1]]
    assert found(check(write_json(content)))['mask-empty'] == ['video 1, instance 0, frame 1']


@pytest.fixture
def vipseg(tmp_path):
    """Generate panoptic videos and return the folder and the content of their JSON."""
    generate_dataset(tmp_path / 'p', 'panoptic', num_train=2, num_valid=0, num_frames=8)
    folder = tmp_path / 'p' / 'train'
    return folder, json.loads((folder / 'panoptic.json').read_text())


def check_vipseg(folder, content):
    (folder / 'panoptic.json').write_text(json.dumps(content))
    return check(folder / 'panoptic.json', images=str(folder / 'images'))


def test_panoptic_data(vipseg):
    folder, content = vipseg
    report = check_vipseg(folder, content)
    assert report.findings.count('error') == 0
    assert report.layout == 'VIPSeg'
    numbers = report.statistics()
    assert (numbers['videos'], numbers['frames']) == (2, 16)
    frames = content['annotations'][0]['annotations']
    gone = frames[3]['segments_info'].pop(0)['id']
    frames[4]['segments_info'].append(
        {'id': 5, 'category_id': content['categories'][0]['id'], 'iscrowd': 0}
    )
    (folder / 'panomasksRGB/video_00002/00001.png').unlink()
    (folder / 'images/video_00002/00002.jpg').unlink()
    Image.new('RGB', (8, 8)).save(folder / 'images/video_00002/00003.jpg')
    texts = found(check_vipseg(folder, content))
    assert f'00003.png: segment {gone},' in texts['segment-missing'][0]
    assert texts['segment-unseen'] == ['video video_00001, frame 00004.png: segment 5']
    assert len(texts['image-missing']) == 2
    assert '8x8' in texts['image-size'][0]
    content['annotations'][0]['annotations'][0]['segments_info'][0]['category_id'] = 99
    assert '99' in found(check_vipseg(folder, content))['layout'][0]


def test_frames_one_pixel_high(write_json):
    content = stills_content()
    content['images'][0].update(width=4000, height=1)
    content['annotations'] = content['annotations'][1:]
    assert found(check(write_json(content)))['frame-narrow'] == ['image 10: 4000x1']
