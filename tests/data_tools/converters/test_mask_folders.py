"""Conversion of mask folders, and errors for invalid ones."""

import json

import cv2
import numpy as np
import pytest
from converter_sources import (
    HEIGHT,
    LENGTH,
    PALETTE,
    WIDTH,
    assert_masks,
    ball,
    late_box,
    masks_of,
    object_ids,
    write_davis,
    write_frames,
    write_json,
)
from PIL import Image

CLASSES = {'1': 'ball', '2': ' box '}


def folders(root):
    return '--images', root / 'JPEGImages', '--masks', root / 'Annotations'


def with_classes(root):
    return *folders(root), '--class-file', write_json(root / 'classes.json', CLASSES)


def mask_path(root, frame, video='cart'):
    return root / 'Annotations' / video / f'{frame:05d}.png'


def rewrite(root, make):
    """Rewrite every mask as the image that `make` creates from its ids."""
    for frame in range(LENGTH):
        make(object_ids(frame)).save(mask_path(root, frame))


def as_palette(ids):
    image = Image.fromarray(ids, 'P')
    image.putpalette(PALETTE)
    return image


def as_colors(ids):
    return as_palette(ids).convert('RGB')


def test_masks_classes_boxes_and_areas_are_converted(convert, davis):
    read = convert('masks', *with_classes(davis))
    (video,) = read.videos
    assert (video.width, video.height, video.length) == (WIDTH, HEIGHT, LENGTH)
    assert video.file_names == tuple(f'cart/{frame:05d}.jpg' for frame in range(LENGTH))
    masks = masks_of(read)
    assert_masks(masks['ball'], [ball(frame) for frame in range(LENGTH)])
    assert_masks(masks['box'], [late_box(frame) for frame in range(LENGTH)])
    instance = read.instances[1]
    assert instance.areas == (None, None, 80, 80)
    assert instance.bboxes == (None, None, [5, 14, 10, 8], [5, 14, 10, 8])


@pytest.mark.parametrize(
    'make', [as_palette, as_colors, lambda ids: Image.fromarray(ids.astype(np.uint16) * 300)]
)
def test_palette_color_and_16_bit_masks_are_equivalent(convert, davis, make):
    rewrite(davis, make)
    names = {'1': 'ball', '2': 'box'}
    if make is as_colors:
        names = {'#C80000': 'ball', '#00c800': 'box'}
    elif make is not as_palette:
        names = {'300': 'ball', '600': 'box'}
    file = write_json(davis / 'classes.json', names)
    masks = masks_of(convert('masks', *folders(davis), '--class-file', file))
    assert_masks(masks['ball'], [ball(frame) for frame in range(LENGTH)])
    assert_masks(masks['box'], [late_box(frame) for frame in range(LENGTH)])


def test_black_and_white_is_one_object(convert, davis):
    """The value 255 of DAVIS-2016 is an ordinary id; smoothed edges need --binary."""
    for frame in range(LENGTH):
        cv2.imwrite(str(mask_path(davis, frame)), 255 * ball(frame).astype(np.uint8))
    plain = masks_of(convert('masks', *folders(davis)))
    assert_masks(plain['object'], [ball(frame) for frame in range(LENGTH)])
    for frame in range(LENGTH):
        soft = np.where(ball(frame), 200, np.arange(WIDTH)[None] + np.arange(HEIGHT)[:, None])
        cv2.imwrite(str(mask_path(davis, frame)), soft.astype(np.uint8))
    smooth = masks_of(convert('masks', *folders(davis), '--binary'))
    assert_masks(smooth['object'], [ball(frame) for frame in range(LENGTH)])


def _black_and_white_palette(bright):
    image = Image.fromarray(bright.astype(np.uint8), 'P')
    image.putpalette([0, 0, 0, 255, 255, 255])
    return image


def _sixteen_bits(bright):
    return Image.fromarray(np.where(bright, 65_000, 1_000).astype(np.uint16))


def _not_quite_gray(bright):
    return Image.fromarray(np.where(bright[..., None], (250, 255, 251), (3, 2, 9)).astype(np.uint8))


@pytest.mark.parametrize('make', [_black_and_white_palette, _sixteen_bits, _not_quite_gray])
def test_binary_masks_are_thresholded_by_displayed_brightness(convert, davis, make):
    for frame in range(LENGTH):
        make(ball(frame)).save(mask_path(davis, frame))
    masks = masks_of(convert('masks', *folders(davis), '--binary'))
    assert_masks(masks['object'], [ball(frame) for frame in range(LENGTH)])


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('c.csv', 'video,object,class\n*,1,ball\ncart,2,box\n'),
        ('c.csv', 'object,class\n01,ball\n2,box\n'),
        ('c.json', json.dumps({'cart': {'1': 'ball', '2': 'box'}})),
        ('c.json', json.dumps({'1': 'chair', 'cart': {'1': 'ball', '2': 'box'}})),
        (
            'meta.json',
            json.dumps(
                {
                    'videos': {
                        'cart': {
                            'objects': {i: {'category': n.strip()} for i, n in CLASSES.items()}
                        }
                    }
                }
            ),
        ),
    ],
)
def test_class_files(convert, davis, name, text):
    (davis / name).write_text(text)
    read = convert('masks', *folders(davis), '--class-file', davis / name)
    masks = masks_of(read)
    assert_masks(masks['ball'], [ball(frame) for frame in range(LENGTH)])
    assert_masks(masks['box'], [late_box(frame) for frame in range(LENGTH)])


def test_unused_classes_of_a_class_file_are_kept(convert, davis, capsys):
    file = write_json(davis / 'c.json', {'cart': 'cafÃ©', 'other': 'dog'})
    read = convert('masks', *folders(davis), '--class-file', file)
    assert [category.name for category in read.categories] == ['café', 'dog']
    said = capsys.readouterr().out
    assert '1 entries of the class file without an object (other: *)' in said
    read = convert('masks', *with_classes(davis), '--one-class', 'thing')
    assert [category.name for category in read.categories] == ['thing']
    assert len(read.instances) == 2


def test_frames_and_videos_are_selected(convert, tmp_path):
    write_davis(tmp_path, ('cart', 'plane', 'train'))
    read = convert(
        'masks', *with_classes(tmp_path), '--videos', 'plane', 'cart', '--frames', '1::2'
    )
    assert [video.file_names for video in read.videos] == [
        ('cart/00001.jpg', 'cart/00003.jpg'),
        ('plane/00001.jpg', 'plane/00003.jpg'),
    ]
    assert [mask.size for mask in read.instances[1].visible] == [1, 1]
    assert read.instances[1].visible.tolist() == [False, True]


def test_skipped_videos_and_masks_are_counted(convert, davis, capsys):
    write_frames(davis / 'JPEGImages' / 'bare', ['0.jpg'])
    read = convert('masks', *with_classes(davis), '--frames=:2', '--ignore-ids', '1')
    assert read is None  # object 1 is ignored, object 2 comes later
    read = convert('masks', *with_classes(davis), '--ignore-ids', '2')
    said = capsys.readouterr().out
    assert '1 videos without a folder of masks (bare)' in said
    assert '2 masks of ignored ids (cart: 2' in said
    read = convert('masks', *with_classes(davis), '--frames=:2')
    assert len(read.instances) == 1
    assert '1 objects without pixels (cart/2)' in capsys.readouterr().out


def test_frames_without_a_mask(convert, refuse, davis):
    mask_path(davis, 1).unlink()
    said = refuse('masks', *with_classes(davis))
    assert '1 of 4 frames have no mask, the first is 00001.jpg' in said
    assert '--unlabeled drop' in said
    dropped = convert('masks', *with_classes(davis), '--unlabeled', 'drop')
    assert dropped.videos[0].file_names[1] == 'cart/00002.jpg'
    empty = convert('masks', *with_classes(davis), '--unlabeled', 'empty')
    assert empty.instances[0].visible.tolist() == [True, False, True, True]


def _no_frame(root):
    (root / 'JPEGImages/cart/00001.jpg').unlink()


def _other_size(root):
    cv2.imwrite(str(mask_path(root, 2)), np.zeros((HEIGHT, WIDTH + 1), np.uint8))


def _other_frame_size(root):
    path = root / 'JPEGImages/cart/00003.jpg'
    cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))


def _no_image(root):
    mask_path(root, 2).write_bytes(b'no image')


def _cut_off(root):
    mask_path(root, 2).write_bytes(mask_path(root, 2).read_bytes()[:60])


def _two_masks(root):
    cv2.imwrite(str(mask_path(root, 2).with_suffix('.tif')), object_ids(2))


def _several_pages(root):
    mask_path(root, 2).unlink()
    cv2.imwritemulti(str(mask_path(root, 2).with_suffix('.tif')), [object_ids(2)] * 3)


def _smooth(root):
    pixels = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 251
    cv2.imwrite(str(mask_path(root, 2)), pixels.astype(np.uint8))


def _unknown_object(root):
    cv2.imwrite(str(mask_path(root, 2)), object_ids(2) * 3)


def _no_video(root):
    write_davis(root / 'more', ('boat',))
    (root / 'more/Annotations/boat').rename(root / 'Annotations/boat')


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (_no_frame, ['Annotations/cart/00001.png', 'no frame 00001']),
        (_other_size, ['Annotations/cart/00002.png', '41x24', '40x24', 'nearest']),
        (_other_frame_size, ['JPEGImages/cart/00003.jpg', '41x24', '40x24']),
        (_no_image, ['Annotations/cart/00002.png', 'not a readable image']),
        (_cut_off, ['Annotations/cart/00002.png', 'not a readable image']),
        (_two_masks, ['Annotations/cart/00002.tif', '00002.png has the same name']),
        (_several_pages, ['Annotations/cart/00002.tif', '3 images']),
        (_smooth, ['Annotations/cart/00002.png', '251 different values', '--binary']),
        (_unknown_object, ['classes.json', 'object 3 of video cart', '--ignore-ids 3']),
        (_no_video, ['JPEGImages/boat', 'Annotations/boat']),
    ],
)
def test_errors_name_the_fault(refuse, davis, spoil, words):
    spoil(davis)
    said = refuse('masks', *with_classes(davis))
    assert [word for word in words if word not in said] == []
    assert '\n' not in said


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{"1": "ball", "01": "box"}', ["'ball' and 'box'"]),
        ('{"1": 7}', ['7 is not a class name']),
        ('[1]', ['not a JSON object']),
        ('{', ['not a readable JSON']),
        ('{}', ['no classes']),
        ('{"videos": {"cart": null}}', ['None is not a class name']),
        ('{"²": "ball"}', ['no class for object 1 of video cart']),
        ('{"1": "\\u200b"}', ["'\\u200b' is not a class name"]),
        ('{"1": "a\\ud800"}', ["'a\\ud800' is not a class name"]),
        (f'{{"{"9" * 5000}": "ball"}}', ['no class for object 1 of video cart']),
        ('id,class\n1,ball\n', ["'id,class'"]),
        ('object,class,class\n1,ball,box\n', ["'object,class,class'"]),
        ('object,class\n1,ball,box\n', ["['box']"]),
        (f'class\n{"x" * 200_000}\n', ['not a CSV file']),
    ],
)
def test_invalid_class_files(refuse, davis, text, words):
    name = 'c.csv' if 'class' in text else 'c.json'
    (davis / name).write_text(text)
    said = refuse('masks', *folders(davis), '--class-file', davis / name)
    assert name in said
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize('name', ['c.csv', 'c.json'])
def test_class_file_in_another_encoding(refuse, davis, name):
    (davis / name).write_bytes('class\nGröße\n'.encode('latin-1'))
    said = refuse('masks', *folders(davis), '--class-file', davis / name)
    assert f'{name}: ' in said
    assert 'utf-8' in said


def test_invalid_options(refuse, davis):
    assert "'boat'; it has cart" in refuse('masks', *folders(davis), '--videos', 'boat')
    said = refuse('masks', *with_classes(davis), '--classes', 'ball')
    assert "object 2 of video cart has class 'box'" in said
    assert '--drop-other-classes' in said
    assert 'use the parent folder' in refuse(
        'masks', '--images', davis / 'JPEGImages/cart', '--masks', davis / 'Annotations/cart'
    )
    assert '::0' in refuse('masks', *folders(davis), '--frames', '::0')
    assert 'none of its 4 frames' in refuse('masks', *folders(davis), '--frames', '9:')


def test_other_classes_are_dropped_on_request(convert, davis, capsys):
    options = '--classes', 'chair', 'BALL', '--drop-other-classes'
    read = convert('masks', *with_classes(davis), *options)
    assert [category.name for category in read.categories] == ['chair', 'BALL']
    assert list(masks_of(read)) == ['BALL']
    assert '1 objects of other classes (cart/2: box)' in capsys.readouterr().out
