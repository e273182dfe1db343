"""Conversion of CVAT exports, and errors for invalid ones."""

import re

import numpy as np
import pytest
from converter_sources import (
    HEIGHT,
    LENGTH,
    WIDTH,
    assert_masks,
    ball,
    box_of,
    cvat,
    cvat_mask,
    cvat_polygon,
    late_box,
    masks_of,
    write_frames,
)

ALL = range(LENGTH)
BALL_POLYGONS = 'ball>' + ''.join(cvat_polygon(f, ball(f)) for f in ALL)
BOX_MASKS = 'box>' + ''.join(cvat_mask(f, late_box(f)) for f in (2, 3))


def box_shape(frame, mask, outside=0, **more):
    x, y, width, height = box_of(mask)
    extra = ''.join(f' {key}="{value}"' for key, value in more.items())
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{x}" ytl="{y}" '
        f'xbr="{x + width}" ybr="{y + height}" z_order="0"{extra}></box>'
    )


def test_polygons_and_masks_are_converted(convert, task):
    read = convert(*task(cvat(BALL_POLYGONS, BOX_MASKS)))
    (video,) = read.videos
    assert video.file_names == tuple(f'frame_{frame:06d}.png' for frame in ALL)
    assert [category.name for category in read.categories] == ['ball', 'box']
    masks = masks_of(read)
    assert_masks(masks['ball'], [ball(frame) for frame in ALL])
    assert_masks(masks['box'], [late_box(frame) for frame in ALL])


def test_masks_with_holes(convert, task):
    """Runs follow the rows of the box and may start with the object."""
    ring = late_box(2)
    ring[16:19, 8:12] = False
    read = convert(*task(cvat('ball>' + cvat_mask(1, ring))))
    assert_masks(masks_of(read)['ball'], [ring & (frame == 1) for frame in ALL])


def test_outside_ends_a_shape(convert, task):
    """An object leaves and returns; a track may end after the last frame."""
    shapes = cvat_polygon(0, ball(0)) + cvat_polygon(1, ball(0), outside=1)
    shapes += cvat_polygon(3, ball(3)) + cvat_polygon(4, ball(3), outside=1)
    masks = masks_of(convert(*task(cvat('ball>' + shapes))))
    assert_masks(masks['ball'], [ball(frame) & (frame in (0, 3)) for frame in ALL])


def test_keyframes_are_interpolated_and_counted(convert, task, capsys):
    shapes = cvat_polygon(0, ball(0)) + cvat_polygon(3, ball(3))
    masks = masks_of(convert(*task(cvat('ball>' + shapes))))
    assert_masks(masks['ball'], [ball(frame) for frame in ALL])
    assert '2 frames not listed, interpolated (cart/0 after frame 0' in capsys.readouterr().out
    held = cvat_mask(0, late_box(2)) + cvat_mask(3, late_box(2), outside=1)
    masks = masks_of(convert(*task(cvat('ball>' + held))))
    assert_masks(masks['ball'], [late_box(2) & (frame < 3) for frame in ALL])


def test_masks_are_not_interpolated(refuse, task):
    shapes = cvat_mask(0, ball(0)) + cvat_mask(3, ball(3))
    assert 'contains all frames' in refuse(*task(cvat('ball>' + shapes)))


def test_boxes_become_masks_only_on_request(convert, refuse, task, capsys):
    source = task(cvat('ball>' + ''.join(box_shape(f, ball(f)) for f in ALL)))
    said = refuse(*source)
    assert 'track 0' in said
    assert '--allow-boxes' in said
    masks = masks_of(convert(*source, '--allow-boxes'))
    assert_masks(masks['ball'], [ball(frame) for frame in ALL])
    assert '4 masks replaced by boxes' in capsys.readouterr().out


def test_rotated_boxes_and_ellipses(convert, task):
    """A rotation by 90 degrees swaps width and height; an ellipse has the expected area."""
    turned = box_shape(0, late_box(2), rotation=90)
    ellipse = '<ellipse frame="1" outside="0" cx="20" cy="12" rx="12" ry="6" rotation="0"/>'
    masks = masks_of(convert(*task(cvat(f'ball>{turned}', f'box>{ellipse}')), '--allow-boxes'))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[13:23, 6:14] = True  # late_box is 10 wide and 8 high, centered at (10, 18)
    assert np.array_equal(masks['ball'][0], expected)
    oval = masks['box'][1]
    assert abs(oval.sum() - np.pi * 12 * 6) < 0.05 * np.pi * 12 * 6
    assert oval[12, 9:31].all()
    assert oval[12].sum() > 2 * oval[:, 20].sum() - 3


def test_rotation_is_clockwise(convert, task):
    """As displayed in CVAT: with y pointing down, the right end of a bar moves down."""
    bar = '<box frame="0" outside="0" xtl="10" ytl="11" xbr="30" ybr="13" rotation="30"/>'
    mask = masks_of(convert(*task(cvat(f'ball>{bar}')), '--allow-boxes'))['ball'][0]
    rows = np.arange(HEIGHT)[:, None] * mask
    assert rows[:, 26:].sum() / mask[:, 26:].sum() > 14
    assert rows[:, :14].sum() / mask[:, :14].sum() < 10


def test_shapes_without_area_are_counted(convert, task, capsys):
    line = '<polyline frame="0" outside="0" points="1,1;5,5"/>'
    read = convert(*task(cvat(BALL_POLYGONS, f'box>{line}')))
    assert len(read.instances) == 1
    said = capsys.readouterr().out
    assert '1 tracks of polyline, which have no area (cart/1 box)' in said


def test_frame_step_of_the_task_is_applied(convert, task, tmp_path):
    """A task with every third frame from frame 6; images are of the task or the full video."""
    head = '<start_frame>6</start_frame><stop_frame>15</stop_frame>'
    head += '<frame_filter>step=3</frame_filter>'
    shapes = ''.join(cvat_polygon(6 + 3 * frame, ball(frame)) for frame in ALL)
    source = task(cvat('ball>' + shapes, head=head))
    masks = masks_of(convert(*source))
    assert_masks(masks['ball'], [ball(frame) for frame in ALL])
    write_frames(tmp_path / 'all' / 'cart', [f'{frame}.jpg' for frame in range(20)])
    read = convert(*source[:3], tmp_path / 'all')
    assert read.videos[0].file_names == ('cart/6.jpg', 'cart/9.jpg', 'cart/12.jpg', 'cart/15.jpg')
    assert_masks(masks_of(read)['ball'], [ball(frame) for frame in ALL])


def test_tasks_of_one_project_and_of_several_files(convert, refuse, task, tmp_path):
    """Tracks of a project name their task; frames are in one folder per task."""
    single = cvat(BALL_POLYGONS)
    head = re.search('<task>.*</task>', single, re.DOTALL)[0]
    other = head.replace('<id>1</id><name>cart', '<id>2</id><name>plane')
    project = single.replace(head, f'<project><tasks>{head}{other}</tasks></project>')
    project = project.replace('<track ', '<track task_id="2" ')
    names = [f'{frame}.jpg' for frame in ALL]
    for name in ('cart', 'plane', 'boat'):
        write_frames(tmp_path / 'images' / name, names)
    assert "task_id='3'" in refuse(*task(project.replace('task_id="2"', 'task_id="3"')))
    source = task(project)
    read = convert(*source)
    assert [len(read.instances_by_video()[video.id]) for video in read.videos] == [0, 1]
    assert read.videos[1].file_names[0] == 'plane/0.jpg'
    boat = tmp_path / 'boat.xml'
    boat.write_text(cvat(BOX_MASKS).replace('<name>cart', '<name>boat'))
    read = convert(*source[:2], boat, *source[2:], '--videos', 'boat', 'plane')
    assert [video.file_names[0] for video in read.videos] == ['plane/0.jpg', 'boat/0.jpg']


GOOD = cvat(BALL_POLYGONS)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (GOOD.replace('label="ball"', 'label="dog"'), ['track 0', "'dog'", 'ball, box']),
        (GOOD.replace('frame="3"', 'frame="9"'), ['track 0', "'9'", 'has 4']),
        (GOOD.replace('frame="3"', 'frame="³"'), ['track 0', "'³' is not a frame"]),
        (GOOD.replace('points="3.00,', 'points="1e9,'), ['frame 0', '1e+09', '40x24']),
        (GOOD.replace('frame="3"', 'frame="2"'), ['track 0', 'two shapes', '2']),
        (GOOD.replace('points="3.00,', 'points="'), ['frame 0', 'is not a polygon']),
        (GOOD.replace('<size>4', '<size>40'), ['4 images', '40 frames']),
        (GOOD.replace('<width>40', '<width>50'), ['40x24', '50x24']),
        (GOOD.replace('<size>4</size>', ''), ['<size>', 'not a number']),
        (GOOD.replace('polygon', 'blob'), ['<blob>']),
        (GOOD.replace('track', 'image'), ['CVAT for images', 'CVAT for video 1.1']),
        (GOOD[:300], ['not a valid XML']),
        (GOOD.replace('utf-8', 'utf-88'), ['not a valid XML', 'utf-88']),
        (GOOD.replace('<size>4', '<size>' + '9' * 5000), ['<size>', "'999"]),
        (GOOD.replace('outside="0"', 'outside="true"'), ['track 0', "outside='true'"]),
        (
            cvat(BALL_POLYGONS, BOX_MASKS).replace('id="1"', 'id="0"'),
            ["two tracks have the id '0'"],
        ),
        (
            cvat('ball><ellipse frame="1" cx="1" cy="1" rx="1.7e308" ry="2"></ellipse>'),
            ['track 0, frame 1', "rx='1.7e308'"],
        ),
        ('<html/>', ['not a CVAT file']),
        (cvat('ball>' + cvat_mask(0, ball(0)).replace('left="3"', 'left="39"')), ['exceeds']),
        (cvat('ball>' + cvat_mask(0, ball(0)).replace('rle="0, 48', 'rle="0, 47')), ['47 pixels']),
    ],
)
def test_errors_name_the_fault(refuse, task, text, words):
    said = refuse(*task(text))
    assert [word for word in words if word not in said] == []
    assert '\n' not in said
