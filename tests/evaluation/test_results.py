"""Errors in results files name the file, entry, video, field and value."""

import copy
import json
import re
import zipfile

import pytest
from track_cases import box, gt_of, read, result

from axialvs.evaluation.results import ResultsError, only_video, read_results, write_submission
from axialvs.utils.errors import AxialVSError

MASK = box(10, 10, 40, 40)
RESULTS = [result(1, 2, 0.5, [MASK, None]), result(2, 5, 1, [MASK])]


@pytest.fixture
def annotations(tmp_path):
    return read(tmp_path, gt_of([2, 1], [(1, 2, [MASK, MASK])]))


def write(folder, content) -> str:
    path = folder / 'results.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_official_list(annotations, tmp_path):
    first, second = read_results(write(tmp_path, RESULTS), annotations)
    assert (first.video_id, first.category_id, first.score) == (1, 2, 0.5)
    assert first.segmentations == [MASK, None]
    assert (second.video_id, second.category_id, second.score) == (2, 5, 1)


def test_zip_of_the_official_list(annotations, tmp_path):
    path = tmp_path / 'submission.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('results.json', json.dumps(RESULTS))
    assert len(read_results(path, annotations)) == 2
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('folder/results.json', json.dumps(RESULTS))
    with pytest.raises(ResultsError, match=r'top level.*folder/results\.json'):
        read_results(path, annotations)


def changed(field: str, value) -> list[dict]:
    results = copy.deepcopy(RESULTS)
    results[1][field] = value
    return results


def with_mask(**fields) -> list[dict]:
    return changed('segmentations', [{**MASK, **fields}])


def without(field: str) -> list[dict]:
    results = copy.deepcopy(RESULTS)
    del results[1][field]
    return results


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[', 'not valid JSON'),
        ('"text"', 'neither a list of results nor'),
        ({'annotations': []}, 'neither a list of results nor'),
        ([*RESULTS, 3], 'entry 2: 3 is not a JSON object'),
        (without('score'), "entry 1: field 'score' is missing"),
        (without('segmentations'), "entry 1: field 'segmentations' is missing"),
        (changed('video_id', 9), "entry 1, field 'video_id': 9 is"),
        (changed('video_id', '2'), "entry 1, field 'video_id': '2' is"),
        (changed('category_id', 3), "entry 1, video 2, field 'category_id': 3 is"),
        (changed('category_id', True), "field 'category_id': True is"),
        (changed('score', '0.5'), "entry 1, video 2, field 'score': '0.5' is not a finite number"),
        (changed('score', None), "field 'score': None is not"),
        (changed('score', float('nan')), "field 'score': nan is not a finite number"),
        (changed('segmentations', None), "video 2, field 'segmentations': None is not a list"),
        (changed('segmentations', [MASK, None]), "field 'segmentations': 2 entries"),
        (changed('segmentations', [[[1, 2, 3, 4, 5, 6]]]), "field 'segmentations[0]': [[1, 2"),
        (changed('segmentations', [{'counts': ''}]), 'neither a COCO RLE nor null'),
        (with_mask(size=[420, 300]), "'segmentations[0].size': [420, 300]"),
        (with_mask(counts=5), "'segmentations[0].counts': 5 is"),
        (changed('score', 10**400), "field 'score': 1000"),
        (f'[{"1" * 5000}]', 'not valid JSON'),
    ],
)
def test_errors_name_the_fault(annotations, tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ResultsError, match=re.escape(message)) as caught:
        read_results(path, annotations)
    assert str(caught.value).startswith(path)
    assert '\n' not in str(caught.value)


def test_byte_order_mark(annotations, tmp_path):
    path = tmp_path / 'results.json'
    path.write_bytes(b'\xef\xbb\xbf' + json.dumps(RESULTS).encode())
    assert len(read_results(path, annotations)) == len(RESULTS)


def test_no_file(annotations, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'missing\.json: no such results file'):
        read_results(tmp_path / 'missing.json', annotations)


def tracks_of(results: list[dict]) -> dict:
    """Return tracks as segment_video.py writes them."""
    tracks = [{k: v for k, v in entry.items() if k != 'video_id'} for entry in results]
    return {
        'video': {'length': 2},
        'categories': [{'id': 2, 'name': 'Class 2'}, {'id': 5, 'name': 'class 5'}],
        'tracks': [{'id': index, **track} for index, track in enumerate(tracks)],
    }


def test_tracks_of_one_video(annotations, tmp_path):
    path = write(tmp_path, tracks_of(RESULTS[:1]))
    (track,) = read_results(path, annotations, video_id=1)
    assert (track.video_id, track.segmentations) == (1, [MASK, None])
    (track,) = read_results(path, only_video(annotations, 1))
    assert track.video_id == 1


@pytest.mark.parametrize('damage', ['header', 'data', 'method'])
def test_damaged_zip(annotations, tmp_path, damage):
    path = tmp_path / 'results.zip'
    write_submission(path, RESULTS)
    data = bytearray(path.read_bytes())
    index = data.rfind(b'PK\x01\x02')
    data[{'header': index + 6, 'data': 45, 'method': index + 10}[damage]] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(ResultsError, match=r'results\.zip: not valid JSON \(.'):
        read_results(path, annotations)


def test_faults_in_tracks(annotations, tmp_path):
    path = write(tmp_path, tracks_of(RESULTS[:1]))
    with pytest.raises(ResultsError, match=r'has 2 videos.*--video-id'):
        read_results(path, annotations)
    with pytest.raises(ResultsError, match=r'gt\.json: has no video 7'):
        read_results(path, annotations, video_id=7)
    with pytest.raises(ResultsError, match='2 entries'):
        read_results(path, annotations, video_id=2)
    other = tracks_of(RESULTS[:1])
    other['categories'][0]['name'] = 'dog'
    with pytest.raises(ResultsError, match="id 2 is 'dog' here and 'class 2' in"):
        read_results(write(tmp_path, other), annotations, video_id=1)
    other['categories'][0]['name'] = None
    with pytest.raises(AxialVSError, match="category 2, field 'name': None is not a name"):
        read_results(write(tmp_path, other), annotations, video_id=1)
    with pytest.raises(ResultsError, match='have their own video ids'):
        read_results(write(tmp_path, RESULTS), annotations, video_id=1)
    with pytest.raises(ResultsError, match="field 'tracks': 3 is not a list"):
        read_results(write(tmp_path, {'tracks': 3}), annotations, video_id=1)


def test_only_video(annotations):
    second = only_video(annotations, 2)
    assert [video.id for video in second.videos] == [2]
    assert second.instances == ()
    assert len(only_video(annotations, 1).instances) == 1
