"""VIPSeg at 720P: pixels, JSON, resuming, and missing files."""

import json

import numpy as np
import pytest
from PIL import Image

from axialvs.data_tools.converters.labeled_video import ConversionError
from axialvs.data_tools.converters.vipseg import check_source, convert_split
from axialvs.datasets.annotations.panoptic import read_ids
from tiny_vipseg import DOG, GRASS, HEIGHT, LENGTH, OTHER_DOG, SKY, WIDTH, values, write_downloaded


@pytest.fixture
def root(tmp_path):
    return write_downloaded(tmp_path)


def convert(root, height=2 * HEIGHT, videos=('b',)):
    categories = root / 'panoVIPSeg_categories.json'
    return convert_split(root, root / 'p', videos, 'val', categories, short_side=height)


def without_errors(frame):
    expected = values(frame)
    expected[expected == 200] = 0
    return expected


def test_images_and_masks_are_scaled(root):
    done = convert(root)
    assert done.num_frames == LENGTH
    assert done.num_present == 0
    assert done.mislabeled == LENGTH * HEIGHT
    content = json.loads(done.path.read_text())
    (video,) = content['videos']
    assert video['video_id'] == 'b'
    assert {(i['width'], i['height']) for i in video['images']} == {(2 * WIDTH, 2 * HEIGHT)}
    for frame in range(LENGTH):
        ids = read_ids(root / f'p/panomasksRGB/b/{frame:05d}.png')
        expected = without_errors(frame).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(ids, expected)
        image = np.asarray(Image.open(root / f'p/images/b/{frame:05d}.jpg'))
        assert image.shape == (2 * HEIGHT, 2 * WIDTH, 3)
        assert abs(image.astype(int) - 60 * frame).max() <= 1
        entry = content['annotations'][0]['annotations'][frame]
        assert entry['file_name'] == f'{frame:05d}.png'
        assert {s['id']: (s['category_id'], s['area']) for s in entry['segments_info']} == {
            identifier: (category, int((expected == identifier).sum()))
            for identifier, category in {SKY: 0, GRASS: 1, DOG: 2, OTHER_DOG: 2}.items()
        }


def test_nearest_neighbor_matches_the_official_script(root):
    convert(root, height=37)
    official = Image.fromarray(values(2)).resize((int(37 * WIDTH / HEIGHT), 37), Image.NEAREST)
    expected = np.asarray(official).astype(int)
    expected[expected == 200] = 0
    np.testing.assert_array_equal(read_ids(root / 'p/panomasksRGB/b/00002.png'), expected)


def test_second_run_converts_only_missing_files(root):
    first = convert(root).path.read_text()
    masks = root / 'p/panomasksRGB/b'
    (masks / '00001.png').unlink()
    (masks / '00002.png').write_bytes((masks / '00002.png').read_bytes()[:60])  # truncated
    (root / 'p/images/b/00003.jpg').unlink()
    kept = masks / '00000.png'
    before = kept.stat().st_mtime_ns
    done = convert(root)
    assert done.num_present == 1
    assert done.path.read_text() == first
    assert kept.stat().st_mtime_ns == before
    assert not list((root / 'p').rglob('*.partial'))
    assert convert(root).num_present == LENGTH
    assert convert(root, height=HEIGHT).num_present == 0


def test_masks_of_another_size_are_refused(root):
    mask = root / 'panomasks/b/00001.png'
    Image.fromarray(values(1)[:, :-1].copy()).save(mask)
    with pytest.raises(ConversionError, match=rf'00001\.png.*{WIDTH - 1}x{HEIGHT}'):
        convert(root)
    wrong = values(1)
    wrong[0, 0] = 900
    Image.fromarray(wrong).save(mask)
    with pytest.raises(ConversionError, match=r'00001\.png.*900'):
        convert(root)


def test_missing_files_are_listed_before_converting(root):
    categories = root / 'panoVIPSeg_categories.json'
    check_source(root, ['a', 'b'], categories)
    (root / 'panomasks/a/00002.png').unlink()
    for path in (root / 'imgs/b').iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r'panomasks/a/00002\.png.*imgs/b'):
        check_source(root, ['a', 'b'], categories)
    with pytest.raises(FileNotFoundError, match='imgs/c'):
        check_source(root, ['c'], categories)
    categories.unlink()
    with pytest.raises(FileNotFoundError, match=r'panoVIPSeg_categories\.json'):
        check_source(root, ['a'], categories)


def test_split_without_videos(root):
    with pytest.raises(ConversionError, match=r'val\.txt'):
        convert(root, videos=())
