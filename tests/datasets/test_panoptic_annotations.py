"""Annotation files of panoptic videos: any change is read or raises an error."""

import copy
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.datasets.annotations.schema import AnnotationError
from json_changes import ACTIONS, change, junk, places
from tiny_vipseg import CATEGORIES

SEGMENT = {'id': 300, 'category_id': 2, 'area': 9, 'bbox': [0, 0, 3, 3], 'iscrowd': 0}
CONTENT = {
    'videos': [
        {'video_id': 'a', 'images': [{'width': 40, 'height': 24, 'file_name': '0.jpg'}]},
    ],
    'annotations': [
        {
            'video_id': 'a',
            'annotations': [
                {'file_name': '0.png', 'segments_info': [SEGMENT, {**SEGMENT, 'id': 301}]},
                {'file_name': '1.png', 'segments_info': [SEGMENT]},
            ],
        }
    ],
    'categories': CATEGORIES,
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(places(CONTENT))), ACTIONS, junk(max_list=3))
def test_any_change_is_read_or_raises_naming_the_file(place, action, value):
    content = copy.deepcopy(CONTENT)
    change(content, place, action, value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'changed.json')
        path.write_text(json.dumps(content))
        read, problem = read_or_problem(path)
    if problem:
        assert problem.startswith(str(path))
    else:
        found = [len(video.file_names) for video in read.videos]
        assert found == [len(video['annotations']) for video in content['annotations']]


def read_or_problem(path):
    try:
        return read_ground_truth(path, path.parent), ''
    except AnnotationError as error:
        return None, str(error)
