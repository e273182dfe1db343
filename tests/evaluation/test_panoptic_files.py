"""Errors in panoptic files name the file, video, frame, value and remedy."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from panoptic_cases import Side, score, write, write_png
from PIL import Image

from axialvs.datasets.annotations.panoptic import read_ground_truth, read_ids
from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.evaluation.panoptic_counts import count_pairs
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_scores import evaluate_panoptic

IDS = np.full((2, 4, 6), 300)
IDS[:, :2] = 0
VIDEOS = [Side(IDS, {300: 4}), Side(IDS, {300: 1})]


class Files:
    """Ground truth and equal predictions of two videos on disk, to be corrupted."""

    def __init__(self, folder: Path) -> None:
        self.gt, self.gt_folder = write(folder, VIDEOS, 'gt')
        self.pred, self.pred_folder = write(folder, VIDEOS, 'pred')

    def edit(self, path: Path, change) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def score(self, workers: int = 1) -> dict[str, float]:
        gt = read_ground_truth(self.gt, self.gt_folder)
        predictions = read_predictions(self.pred, self.pred_folder, gt)
        return evaluate_panoptic(gt, predictions, workers).summary()


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def frame(content: dict) -> dict:
    """Return the second frame of the second video."""
    return content['annotations'][1]['annotations'][1]


def segment(content: dict) -> dict:
    return frame(content)['segments_info'][0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('annotations'), "field 'annotations': is missing"),
        (lambda c: c.update(annotations=[]), 'the list is empty, so there is no video'),
        (lambda c: c.update(annotations=[3]), '3 is not a JSON object'),
        (lambda c: c['annotations'].pop(), "video 'video1' is missing; predict all"),
        (
            lambda c: c['annotations'].append({**c['annotations'][0], 'video_id': 'other'}),
            "video 'other' is unknown",
        ),
        (lambda c: c['annotations'][1].update(video_id='video0'), "'video0' is used twice"),
        (lambda c: c['annotations'][1].update(video_id='../x'), "'../x' is not the name"),
        (lambda c: c['annotations'][1].update(video_id=None), 'None is not the name of a folder'),
        (lambda c: c['annotations'][1].update(annotations=[]), 'video video1, field'),
        (
            lambda c: c['annotations'][1]['annotations'].pop(),
            "video video1: frame '0001.png' is missing; predict all",
        ),
        (lambda c: frame(c).update(file_name='0000.png'), "'0000.png' is used twice"),
        (lambda c: frame(c).update(file_name='a/b.png'), "'a/b.png' is not a file name"),
        (lambda c: frame(c).update(file_name='7.png'), "frame '0001.png' is missing"),
        (lambda c: frame(c).pop('segments_info'), "frame 0001.png, field 'segments_info': is miss"),
        (
            lambda c: segment(c).update(category_id=77),
            "frame 0001.png, segments_info[0], field 'category_id': 77 is not a category",
        ),
        (lambda c: segment(c).update(category_id='1'), "'1' is not an integer"),
        (lambda c: segment(c).update(category_id=2), '2, but segment 300 had category 1 in an ear'),
        (lambda c: segment(c).update(id=0), "field 'id': 0 is not in 1 ... 16777215; 0 is void"),
        (lambda c: segment(c).update(id=2**24), "field 'id': 16777216 is not in 1 ... 16777215"),
        (lambda c: frame(c)['segments_info'].append(segment(c)), "field 'id': 300"),
        (lambda c: segment(c).update(iscrowd=2), '2 is neither 0 nor 1'),
    ],
)
def test_errors_name_faults_of_a_json(files, change, message):
    files.edit(files.pred, change)
    with pytest.raises(AnnotationError, match=re.escape(message)) as caught:
        files.score()
    assert str(caught.value).startswith(str(files.pred))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('categories'), "field 'categories': is missing"),
        (lambda c: c.update(categories=[]), "field 'categories': the list is empty"),
        (lambda c: c['categories'][0].pop('isthing'), "category 0, field 'isthing': is missing"),
        (lambda c: c['categories'][0].update(id=5), "field 'id': 5"),
    ],
)
def test_errors_name_faults_of_categories(files, change, message):
    files.edit(files.gt, change)
    with pytest.raises(AnnotationError, match=re.escape(message)):
        files.score()


def test_missing_files(files, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no\.json: no such file'):
        read_ground_truth(tmp_path / 'no.json', files.gt_folder)
    with pytest.raises(FileNotFoundError, match=r'no: no such folder; the PNGs of .*gt\.json'):
        read_ground_truth(files.gt, tmp_path / 'no')
    (files.pred_folder / 'video1' / '0001.png').unlink()
    for workers in (1, 2):
        with pytest.raises(
            FileNotFoundError, match=r'0001\.png: no such file; it is frame 0001\.png of video vid'
        ):
            files.score(workers)


def test_ids_of_png_and_json_differ(files):
    png = files.pred_folder / 'video1' / '0001.png'
    write_png(png, np.where(IDS[1] == 300, 301, 0))
    with pytest.raises(AnnotationError, match=r'0001\.png: video video1, frame .*ids 301: in the'):
        files.score()
    write_png(png, np.zeros_like(IDS[1]))
    with pytest.raises(AnnotationError, match=r'ids 300: in segments_info of .* not in the PNG'):
        files.score()
    write_png(png, np.arange(24).reshape(4, 6))
    with pytest.raises(AnnotationError, match=r'ids 1, 2, 3, 4, 5 and 18 more: in the PNG'):
        files.score()


def test_sizes(files):
    write_png(files.pred_folder / 'video0' / '0000.png', np.full((8, 12), 300))
    with pytest.raises(AnnotationError, match=r'video0, frame 0000\.png: 12x8 pixels, .* has 6x4'):
        files.score()


def test_invalid_png_files(files):
    png = files.pred_folder / 'video0' / '0000.png'
    png.write_bytes(b'text')
    with pytest.raises(AnnotationError, match=r'0000\.png: is not a readable image'):
        files.score()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(png)
    with pytest.raises(AnnotationError, match=r"kind 'L', but RGB is needed"):
        files.score()
    png.write_bytes(b'\x89PNG\r\n\x1a\n\0\0\0\x05IHDR\0\0\0\x06\0\xc9\x18\x27\xba')  # too short
    with pytest.raises(AnnotationError, match=r'0000\.png: is not a readable image'):
        files.score()
    write_png(png, np.random.default_rng(0).integers(0, 2**24, (60, 60)))
    data = bytearray(png.read_bytes())
    data[5000] ^= 1
    png.write_bytes(data)
    with pytest.raises(AnnotationError, match=r'0000\.png: is not a readable image'):
        files.score()
    png.write_bytes(png.read_bytes()[:2000])
    with pytest.raises(AnnotationError, match=r'0000\.png: is not a readable image'):
        files.score()


def test_order_of_predicted_videos_and_frames_does_not_matter(files):
    def turn(content):
        content['annotations'].reverse()
        for video in content['annotations']:
            video['annotations'].reverse()

    files.edit(files.pred, turn)
    assert files.score()['vpq2'] == 100


def test_numbers_as_video_ids(files):
    def number(content):
        content['annotations'][0]['video_id'] = 12

    for path, folder in ((files.gt, files.gt_folder), (files.pred, files.pred_folder)):
        files.edit(path, number)
        (folder / 'video0').rename(folder / '12')
    assert files.score()['vpq1'] == 100


def test_ids_survive_png_encoding(tmp_path):
    ids = np.random.default_rng(0).integers(0, 2**24, (5, 7))
    write_png(tmp_path / 'ids.png', ids)
    np.testing.assert_array_equal(read_ids(tmp_path / 'ids.png'), ids)


def test_count_pairs_on_noise():
    """Runs have one pixel each, the worst case."""
    random = np.random.default_rng(0)
    gt, predicted = random.choice([0, 7, 2**24 - 1], (2, 9, 11)).astype(np.uint32)
    *pairs, pixels = np.array(count_pairs(gt, predicted)).tolist()
    assert dict(zip(zip(*pairs, strict=True), pixels, strict=True)) == {
        (a, b): int(((gt == a) & (predicted == b)).sum())
        for a in (0, 7, 2**24 - 1)
        for b in (0, 7, 2**24 - 1)
    }


def test_equal_files_have_a_perfect_score(tmp_path):
    assert score(tmp_path, VIDEOS, VIDEOS).summary()['vpq1'] == 100
