"""Tests of id masks, cut-outs and conversions of results."""

import sys

import numpy as np
import pytest
from PIL import Image

from axialvs.inference.mask_files import CropWriter, write_id_masks
from axialvs.inference.segmented_video import SegmentedVideo
from axialvs.structures import ClipResult, Track
from axialvs.utils.errors import AxialVSError
from axialvs.utils.rle import encode_mask


def columns(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((4, 8), dtype=bool)
    mask[:, start:stop] = True
    return mask


def test_ids_above_255_use_16_bits_and_best_score_is_on_top(tmp_path):
    tracks = [
        Track(300, 0, 0.9, [encode_mask(columns(0, 4)), None]),
        Track(7, 0, 0.5, [encode_mask(columns(2, 6)), encode_mask(columns(2, 6))]),
    ]
    size, times = dict(height=4, width=8), {0: 0.0, 1: 0.1}
    video = SegmentedVideo('x', size, {}, tracks, tracks, times, {}, ('a',), (1,), None)
    assert write_id_masks(tmp_path, video) == 8
    images = [Image.open(tmp_path / f'0000{i}.png') for i in (0, 1)]
    assert [np.array(x)[0].tolist() for x in images] == [
        [300] * 4 + [7] * 2 + [0] * 2,
        [0] * 2 + [7] * 4 + [0] * 2,
    ]


@pytest.fixture
def clip() -> ClipResult:
    """Return a clip: track 3 grows from 1 to 2 columns, track 5 is in the first frame only."""
    masks = np.array([[columns(1, 2), columns(1, 3)], [columns(5, 8), columns(0, 0)]])
    images = [np.full((4, 8, 3), value, np.uint8) for value in (10, 20)]
    ids, labels, scores = np.array([3, 5]), np.array([1, 0]), np.array([0.9, 0.8])
    return ClipResult([0, 1], [0.0, 0.1], ids, labels, scores, masks, images, ids > 0)


def test_crop_shows_the_largest_mask(clip, tmp_path):
    writer = CropWriter(tmp_path)
    writer.add(clip)
    crops = [np.array(Image.open(tmp_path / f'0000{i}.png')) for i in (3, 5)]
    assert [x.shape for x in crops] == [(4, 2, 4), (4, 3, 4)]
    assert [x[0, 0].tolist() for x in crops] == [[20, 20, 20, 255], [10, 10, 10, 255]]


def test_missing_supervision_package(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(AxialVSError, match='supervision'):
        clip.to_supervision()


def test_supervision_detections(clip):
    pytest.importorskip('supervision', reason='supervision is not installed')
    first, second = clip.to_supervision(['cat', 'dog'])
    assert first.tracker_id.tolist() == [3, 5]
    assert first.data['class_name'].tolist() == ['dog', 'cat']
    assert second.tracker_id.tolist() == [3]
    assert second.xyxy[0, :2].tolist() == [1, 0]
    assert np.array_equal(second.mask[0], columns(1, 3))
