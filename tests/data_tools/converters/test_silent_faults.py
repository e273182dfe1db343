"""Regression tests for sources that were silently converted to wrong objects."""

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
    coco_video,
    cvat,
    cvat_mask,
    cvat_polygon,
    late_box,
    masks_of,
    object_ids,
    write_davis,
    write_json,
)
from PIL import Image

from axialvs.utils.rle import read_mask

ALL = range(LENGTH)


def folders(root):
    return 'masks', '--images', root / 'JPEGImages', '--masks', root / 'Annotations'


def mask_path(root, frame):
    return root / 'Annotations' / 'cart' / f'{frame:05d}.png'


class TestIdentity:
    """CVAT may export brush masks and shapes as one track per frame."""

    def test_tracks_of_one_group_and_label_are_one_object(self, convert, task):
        groups = [f'ball" group_id="3>{cvat_mask(f, ball(f))}' for f in ALL]
        groups += [f'box" group_id="3>{cvat_mask(f, late_box(f))}' for f in (2, 3)]
        read = convert(*task(cvat(*groups)))
        assert len(read.instances) == 2
        masks = masks_of(read)
        assert_masks(masks['ball'], [ball(f) for f in ALL])
        assert_masks(masks['box'], [late_box(f) for f in ALL])

    def test_single_frame_tracks_without_groups_are_counted(self, convert, task, capsys):
        read = convert(*task(cvat(*(f'ball>{cvat_mask(f, ball(f))}' for f in ALL))))
        assert len(read.instances) == LENGTH
        said = capsys.readouterr().out
        assert f'{LENGTH} of {LENGTH} objects' in said
        assert 'group' in said
        convert(*task(cvat('ball>' + ''.join(cvat_mask(f, ball(f)) for f in ALL))))
        assert 'WARNING' not in capsys.readouterr().out

    def test_instance_ids_equal_to_annotation_ids_are_counted(self, convert, tmp_path, capsys):
        content = coco_video()
        for annotation in content['annotations']:
            annotation['instance_id'] = annotation['id']
        convert('coco_video', write_json(tmp_path / 'c.json', content))
        number = len(content['annotations'])
        assert f'{number} of {number} objects' in capsys.readouterr().out

    def test_track_ids_of_cvats_coco_export(self, convert, refuse, tmp_path):
        content = coco_video()
        del content['videos']
        for image in content['images']:
            del image['video_id'], image['frame_id']
        for annotation in content['annotations']:
            annotation['attributes'] = {'track_id': annotation.pop('instance_id')}
        path = write_json(tmp_path / 'instances_default.json', content)
        read = convert('coco_video', path)
        assert [video.file_names[0] for video in read.videos] == ['cart/00000.jpg']
        masks = masks_of(read)
        assert_masks(masks['ball'], [ball(f) for f in ALL])
        assert_masks(masks['box'], [late_box(f) for f in ALL])
        del content['annotations'][1]['attributes']
        assert 'track_id' in refuse('coco_video', write_json(path, content))


class TestMaskValues:
    def test_smoothed_edges_are_not_objects(self, refuse, convert, davis):
        for frame in ALL:
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            points = np.array([[[30 + 60 * frame, 50], [200, 90 + 9 * frame], [90, 160]]]) // 8
            cv2.fillPoly(mask, points.astype(np.int32), 255, cv2.LINE_AA)
            cv2.imwrite(str(mask_path(davis, frame)), mask)
        said = refuse(*folders(davis))
        assert '.png' in said
        assert '--binary' in said
        assert len(convert(*folders(davis), '--binary').instances) == 1

    @pytest.mark.parametrize('as_color', [False, True])
    def test_black_objects_on_white(self, convert, davis, capsys, as_color):
        for frame in ALL:
            inverted = np.where(object_ids(frame) > 0, 0, 255).astype(np.uint8)
            image = np.dstack([inverted] * 3) if as_color else inverted
            cv2.imwrite(str(mask_path(davis, frame)), image)
        for options in ((), ('--binary',)):
            convert(*folders(davis), *options)
            assert '--background 255' in capsys.readouterr().out
            (only,) = convert(*folders(davis), *options, '--background', '255').instances
            found = [read_mask(rle, HEIGHT, WIDTH) for rle in only.segmentations]
            assert_masks(found, [ball(f) | late_box(f) for f in ALL])
            assert 'WARNING' not in capsys.readouterr().out

    def test_outlines_around_objects(self, convert, davis, capsys):
        for frame in ALL:
            ids = object_ids(frame)
            ids[(cv2.dilate(ids, np.ones((3, 3))) > 0) & (ids == 0)] = 255
            cv2.imwrite(str(mask_path(davis, frame)), ids)
        convert(*folders(davis))
        assert '--ignore-ids 255' in capsys.readouterr().out
        assert len(convert(*folders(davis), '--ignore-ids', '255').instances) == 2
        assert 'WARNING' not in capsys.readouterr().out

    def test_smoothly_resized_masks_are_refused(self, refuse, davis):
        for frame in ALL:
            large = cv2.resize(object_ids(frame) * 100, None, fx=3, fy=3, interpolation=0)
            large = np.roll(large, 1, axis=(0, 1))
            small = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(mask_path(davis, frame)), small)
        assert 'between two others' in refuse(*folders(davis))

    def test_thin_objects_next_to_others_are_kept(self, convert, davis):
        for frame in ALL:
            ids = np.zeros((HEIGHT, WIDTH), np.uint8)
            ids[5:15, 10:30] = 2
            ids[15, 10:30] = 1  # one row, between background and object 2
            cv2.imwrite(str(mask_path(davis, frame)), ids)
        assert len(convert(*folders(davis)).instances) == 2

    def test_changing_palette_is_refused(self, refuse, davis):
        for frame in ALL:
            image = Image.fromarray(object_ids(frame), 'P')
            image.putpalette(PALETTE if frame < 2 else [0, 0, 0, 0, 200, 0, 200, 0, 0])
            image.save(mask_path(davis, frame))
        said = refuse(*folders(davis))
        assert '00002.png' in said
        assert '(0, 200, 0)' in said

    @pytest.mark.parametrize('mode', ['RGB', 'L'])
    def test_changing_pixel_format_is_refused(self, refuse, davis, mode):
        for frame in ALL:
            image = Image.fromarray(object_ids(frame), 'P')
            image.putpalette(PALETTE)
            (image.convert(mode) if frame == 1 else image).save(mask_path(davis, frame))
        assert '00001.png' in refuse(*folders(davis))

    def test_gray_frames_of_a_colored_video_keep_their_objects(self, convert, davis):
        for frame in ALL:
            colors = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            colors[ball(frame)] = 255
            if frame != 1:
                colors[20:, 30:] = 200, 0, 0
            Image.fromarray(colors).save(mask_path(davis, frame))
        visible = [i.visible.sum() for i in convert(*folders(davis)).instances]
        assert sorted(visible) == [LENGTH - 1, LENGTH]

    def test_transparent_pixels_are_background(self, convert, davis):
        for frame in ALL:
            picture = np.random.default_rng(frame).integers(0, 255, (HEIGHT, WIDTH, 4), np.uint8)
            picture[..., 3] = 255 * ball(frame)
            Image.fromarray(picture).save(mask_path(davis, frame))
        masks = masks_of(convert(*folders(davis), '--binary'))
        assert_masks(masks['object'], [ball(frame) for frame in ALL])
        for frame in ALL:  # a flat color under the transparent part
            picture = np.full((HEIGHT, WIDTH, 4), 90, np.uint8)
            picture[..., 3] = 255 * ball(frame)
            Image.fromarray(picture).save(mask_path(davis, frame))
        masks = masks_of(convert(*folders(davis)))
        assert_masks(masks['object'], [ball(frame) for frame in ALL])

    @pytest.mark.parametrize(
        'values', [[0, 100, 255], [[0, 0, 0], [255, 0, 0], [0, 255, 0]]], ids=['gray', 'color']
    )
    def test_binary_keeps_dim_objects(self, refuse, davis, values):
        for frame in ALL:
            mask = np.array(values, np.uint8)[object_ids(frame)]
            Image.fromarray(mask).save(mask_path(davis, frame))
        said = refuse(*folders(davis), '--binary')
        assert '.png' in said
        assert 'omit --binary' in said

    def test_jpeg_masks_need_binary(self, refuse, convert, davis):
        for frame in ALL:
            path = mask_path(davis, frame)
            path.unlink()
            cv2.imwrite(str(path.with_suffix('.jpg')), 255 * ball(frame).astype(np.uint8))
        said = refuse(*folders(davis))
        assert 'PNG' in said
        assert '--unlabeled' not in said
        masks = masks_of(convert(*folders(davis), '--binary'))
        assert_masks(masks['object'], [ball(frame) for frame in ALL])


class TestSkippedItems:
    def test_masks_among_the_frames_are_refused(self, refuse, davis):
        for frame in ALL:
            ids = object_ids(frame)
            cv2.imwrite(str(davis / 'JPEGImages/cart' / f'{frame:05d}_mask.png'), ids)
        assert f'{LENGTH} .jpg and {LENGTH} .png' in refuse(*folders(davis))

    def test_polygons_without_a_pixel_are_counted(self, convert, tmp_path, capsys):
        content = coco_video()
        thin = [[3.0, 3.0, 3.1, 3.0, 3.1, 3.1]]
        ids = [a['id'] for a in content['annotations'] if a['instance_id'] == 1]
        for annotation in content['annotations']:
            if annotation['id'] in ids[:2]:
                annotation['segmentation'] = thin
        convert('coco_video', write_json(tmp_path / 'c.json', content))
        assert '2 masks without pixels' in capsys.readouterr().out

    def test_cvat_shapes_outside_of_the_frame_are_counted(self, convert, task, capsys):
        outside = cvat_polygon(0, ball(0)).replace(
            'points="', 'points="-90,-90;-80,-90;-80,-80" x="'
        )
        convert(*task(cvat(f'ball>{outside}' + cvat_polygon(1, ball(1)))))
        assert '1 masks without pixels' in capsys.readouterr().out

    def test_categories_with_the_same_name_are_merged(self, convert, tmp_path):
        content = coco_video()
        content['categories'].append({'id': 9, 'name': 'Ball'})
        content['annotations'][0]['category_id'] = 9
        for annotation in content['annotations']:
            if annotation['instance_id'] == content['annotations'][0]['instance_id']:
                annotation['category_id'] = 9
        read = convert('coco_video', write_json(tmp_path / 'c.json', content))
        assert len(read.categories) == 2
        assert len(read.instances) == 2


def test_json_with_a_byte_order_mark(convert, tmp_path):
    path = tmp_path / 'c.json'
    for encoding in ('utf-8-sig', 'utf-16'):
        path.write_bytes(json.dumps(coco_video()).encode(encoding))
        assert len(convert('coco_video', path).instances) == 2
    write_davis(tmp_path)
    classes = tmp_path / 'classes.json'
    classes.write_bytes(json.dumps({'1': 'ball', '2': 'box'}).encode('utf-8-sig'))
    assert len(convert(*folders(tmp_path), '--class-file', classes).instances) == 2


@pytest.mark.parametrize(
    ('content', 'remedy'),
    [
        ({'videos': {'a': {'objects': {'1': {'category': 'dog'}}}}}, '--class-file'),
        ({'shapes': [], 'imagePath': '0.jpg', 'imageData': None}, 'labelme'),
        ({**coco_video(), 'videos': None}, 'videos'),
    ],
)
def test_files_of_other_tools_are_recognized(refuse, tmp_path, content, remedy):
    assert remedy in refuse('coco_video', write_json(tmp_path / 'meta.json', content))


def test_circled_digits_in_file_names(convert, tmp_path):
    write_davis(tmp_path)
    for folder in ('JPEGImages', 'Annotations'):
        for path in (tmp_path / folder / 'cart').iterdir():
            path.rename(path.with_stem(f'{path.stem}①1'))
    assert len(convert(*folders(tmp_path)).instances) == 2
