"""Tests of reading annotation files, valid and broken."""

import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import Category, read_annotations
from json_changes import ACTIONS, change, junk, places
from tiny_video_data import HEIGHT, WIDTH, counts_of, make_content, object_mask, rle_of

POLYGON = [[1.0, 1.0, 9.0, 1.0, 9.0, 9.5]]


def test_all_fields_are_read(content, write_json):
    read = read_annotations(write_json(content))
    assert [(c.id, c.name) for c in read.categories] == [(3, 'disc'), (8, 'box')]
    assert [(v.id, v.length, v.height, v.width) for v in read.videos] == [
        (1, 5, HEIGHT, WIDTH),
        (2, 6, HEIGHT, WIDTH),
    ]
    assert read.videos[1].file_names[5] == 'v2/00005.png'
    assert [(i.id, i.video_id, i.category_id) for i in read.instances] == [
        (0, 1, 3), (7, 1, 8), (9, 1, 8), (10, 2, 3), (17, 2, 8), (19, 2, 8),
    ]  # fmt: skip
    assert read.instances[1].visible.tolist() == [False, False, True, True, True]
    assert read.instances[1].areas == (None, None, 110, 110, 110)
    assert [i.id for i in read.instances_by_video()[2]] == [10, 17, 19]


def test_every_kind_of_segmentation(content, write_json):
    empty = np.zeros((HEIGHT, WIDTH), dtype=bool)
    kinds = [rle_of(~empty), counts_of(object_mask(0, 1)), POLYGON, None, counts_of(empty)]
    content['annotations'][0]['segmentations'] = kinds
    instance = read_annotations(write_json(content)).instances[0]
    assert instance.visible.tolist() == [True, True, True, False, False]
    assert instance.segmentations == tuple(kinds)


@pytest.mark.parametrize('annotations', ['absent', None])
def test_file_without_annotations(content, write_json, annotations):
    content['annotations'] = annotations
    if annotations == 'absent':
        del content['annotations']
    read = read_annotations(write_json(content))
    assert read.instances is None
    assert len(read.videos) == 2


def test_optional_fields_may_be_absent(content, write_json):
    for annotation in content['annotations']:
        for field in ('areas', 'bboxes', 'iscrowd', 'width', 'height', 'length'):
            del annotation[field]
    instance = read_annotations(write_json(content)).instances[2]
    assert (instance.areas, instance.bboxes, instance.iscrowd) == (None, None, False)


def test_error_names_the_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.json: no such annotation.*docs/data\.md'):
        read_annotations(tmp_path / 'none.json')


@pytest.mark.parametrize('text', ['', '{"videos": [', '\udcff', '[' * 100_000])
def test_error_names_a_file_that_is_not_json(tmp_path, text):
    path = tmp_path / 'broken.json'
    path.write_text(text, errors='surrogateescape')
    with pytest.raises(AnnotationError, match=r'broken\.json: not a readable JSON file'):
        read_annotations(path)


def _set(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(content):
        for key in keys:
            content = content[key]
        content[last] = value

    return change


def _delete(*keys):
    *keys, last = keys

    def change(content):
        for key in keys:
            content = content[key]
        del content[last]

    return change


def _shift_first_run(content):
    counts = counts_of(object_mask(0, 1))
    counts['counts'][0] += 1
    content['annotations'][0]['segmentations'][1] = counts


INSTANCE = r"video 1, instance 7, field '{}'"
SEGMENTS = ('annotations', 1, 'segmentations')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_delete('videos'), "field 'videos': is missing"),
        (_set('categories', []), "field 'categories': the list is empty"),
        (_set('categories', 1, 'name', '\x1b'), r"category 8, field 'name': '\\x1b' is not a name"),
        (_set('categories', 1, 'id', 3), "category 3, field 'id': 3 is used twice"),
        (_set('images', []), "field 'images': this is a COCO-video"),
        (_set('videos', []), "instance 0, field 'video_id': 1 is not a known video id"),
        (_set('videos', 1, 'id', 1), "video 1, field 'id': 1 is used twice"),
        (_set('videos', 1, 'width', 0), "video 2, field 'width': 0 is below 1"),
        (_set('videos', 1, 'height', '48'), "video 2, field 'height': '48' is not an integer"),
        (_set('videos', 1, 'length', 5), "video 2, field 'file_names': 6 entries, but"),
        (_set('videos', 1, 'file_names', 4, None), r"video 2, field 'file_names\[4\]'"),
        (_delete('annotations', 1, 'video_id'), r"instance 7, field 'video_id': is missing"),
        (
            _set('annotations', 1, 'video_id', 5),
            "instance 7, field 'video_id': 5 is not a known video id",
        ),
        (_set('annotations', 1, 'category_id', 5), INSTANCE.format('category_id')),
        (_set('annotations', 1, 'id', 0), r"instance 0, field 'id': 0 is used twice"),
        (_set('annotations', 1, 'id', 2**64), "field 'id': 18446744073709551616 is above"),
        (_set('annotations', 1, 'iscrowd', 2), INSTANCE.format('iscrowd')),
        (_set('annotations', 1, 'length', 4), INSTANCE.format('length') + ': 4, but its video'),
        (_set('annotations', 1, 'areas', [1]), INSTANCE.format('areas') + ': 1 entries, but'),
        (_set('annotations', 1, 'bboxes', 2, [1, 2]), INSTANCE.format(r'bboxes\[2\]')),
        (_set('annotations', 1, 'areas', 2, float('nan')), INSTANCE.format(r'areas\[2\]')),
        (_set('annotations', 1, 'areas', 2, -5), INSTANCE.format(r'areas\[2\]') + ': -5 is not'),
        (_delete(*SEGMENTS, 0), INSTANCE.format('segmentations') + ': 4 entries, but'),
        (_set(*SEGMENTS, 2, []), INSTANCE.format(r'segmentations\[2\]') + ': .*is null'),
        (_set(*SEGMENTS, 2, 'abc'), 'neither an RLE, nor polygons, nor null'),
        (_set(*SEGMENTS, 2, [[1, 1, 2, 2]]), r"'segmentations\[2\]\[0\]': .* has 4 numbers"),
        (_set(*SEGMENTS, 2, [[1, 1, 2, 2, 3, 1e9]]), 'lies far outside of the frame'),
        (_set(*SEGMENTS, 2, [[1, 1, 2, 2, 3, True]]), 'is not made of finite numbers'),
        (_set(*SEGMENTS, 2, 'size', [64, 48]), INSTANCE.format(r'segmentations\[2\].size')),
        (_delete(*SEGMENTS, 2, 'counts'), INSTANCE.format(r'segmentations\[2\].counts')),
        (_set(*SEGMENTS, 2, 'counts', 'Z'), 'truncated'),
        (_set(*SEGMENTS, 2, 'counts', [1, 2.0]), 'not run lengths'),
        (_set(*SEGMENTS, 2, 'counts', [-1, HEIGHT * WIDTH + 1]), 'not run lengths'),
        (_shift_first_run, r'instance 0, .*do not cover the 3072'),
    ],
)
def test_error_names_the_fault(content, write_json, change, message):
    change(content)
    path = write_json(content)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(path)


PLACES = list(places(make_content((2, 3))))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), ACTIONS, junk(st.just(POLYGON), max_list=8))
def test_any_change_is_read_or_raises_naming_the_record(place, action, value):
    content = make_content((2, 3))
    original = copy.deepcopy(content)
    change(content, place, action, value)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / 'changed.json')
        Path(path).write_text(json.dumps(content))
        read, problem = _read_or_problem(path)
    if problem:
        assert problem.startswith(path)
        assert names_the_record(problem, place, original, content)
    else:
        assert same(read, content)


def _read_or_problem(path):
    try:
        return read_annotations(path), ''
    except AnnotationError as error:
        return None, str(error)


def names_the_record(message: str, place: tuple, original: dict, changed: dict) -> bool:
    """Return whether the message has the record's index, or its old or new id."""
    nouns = {'videos': 'video', 'categories': 'category', 'annotations': 'instance'}
    kind, index = (*place, None)[:2]
    if index is None:
        gone = f'is not a known {nouns[kind]} id'
        return f"'{kind}'" in message or f'{kind}[0]' in message or gone in message
    names = [f'{kind}[{index}]', f"field '{kind}'"]
    for content in (original, changed):
        if isinstance(content.get(kind), list) and index < len(content[kind]):
            record = content[kind][index]
            if isinstance(record, dict) and 'id' in record:
                names.append(f'{nouns[kind]} {record["id"]!r}')
    if kind == 'categories':  # instances of a removed category
        names.append(f"'category_id': {original[kind][index]['id']} is not a known category id")
    return any(name in message for name in names)


def same(read, content: dict) -> bool:
    """Return whether the records read equal the file's content, without omissions."""
    for found, said in (
        (read.categories, content['categories']),
        (read.videos, content['videos']),
        (read.instances or (), content.get('annotations') or ()),
    ):
        assert len(found) == len(said)
        for record, entry in zip(found, said, strict=True):
            if isinstance(record, Category):
                assert record.name
                assert record.source_name == entry['name']
            derived = {'visible', 'name', 'source_name', 'broken'}
            for field in {*record.__dataclass_fields__} - derived:
                value = getattr(record, field)
                value = list(value) if isinstance(value, tuple) else value
                expected = entry.get(field, False if field == 'iscrowd' else None)
                assert value == expected, (field, value, expected)
    return True
