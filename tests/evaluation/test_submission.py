"""The evaluation server's layout, and atomic replacement of files."""

import json
import zipfile

import pytest
from track_cases import box, gt_of, read, result

from axialvs.evaluation.results import read_results, write_results, write_submission
from axialvs.evaluation.video_metric import unused_prefix

ENTRIES = [result(1, 2, 0.123456789012345, [box(1, 2, 3, 4), None])]


def test_round_trip(tmp_path):
    annotations = read(tmp_path, gt_of([2], []))
    for write, name in ((write_results, 'out/r.json'), (write_submission, 'out/r.zip')):
        write(tmp_path / name, ENTRIES)
        (entry,) = read_results(tmp_path / name, annotations)
        assert entry.score == ENTRIES[0]['score']
        assert entry.segmentations == ENTRIES[0]['segmentations']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['r.json', 'r.zip']


def test_json_is_at_the_top_level_of_the_zip(tmp_path):
    write_submission(tmp_path / 'r.zip', ENTRIES)
    with zipfile.ZipFile(tmp_path / 'r.zip') as archive:
        assert archive.namelist() == ['results.json']
        assert archive.testzip() is None
        assert json.loads(archive.read('results.json')) == ENTRIES


@pytest.mark.parametrize('write', [write_results, write_submission])
def test_old_file_is_kept_if_writing_fails(tmp_path, write):
    path = tmp_path / 'file'
    write(path, ENTRIES)
    before = path.read_bytes()
    with pytest.raises(ValueError, match='not JSON compliant'):
        write(path, [*ENTRIES, result(1, 2, float('nan'), [])])
    assert path.read_bytes() == before
    write(path, [])
    assert path.read_bytes() != before


def test_files_of_earlier_runs_are_kept(tmp_path):
    prefix = str(tmp_path / 'results')
    assert unused_prefix(prefix, ('.json', '.zip')) == prefix
    (tmp_path / 'results.zip').touch()
    (tmp_path / 'results_2.json').touch()
    assert unused_prefix(prefix, ('.json', '.zip')) == f'{prefix}_3'
