"""Tests of class lists and of matching them with a file's categories."""

import pytest
from mmdet.datasets import YouTubeVISDataset as MMDetYouTubeVIS

from axialvs.datasets.annotations.schema import AnnotationError
from axialvs.datasets.annotations.youtube_vis import Category
from axialvs.datasets.class_names import CLASS_LISTS, resolve_class_list
from axialvs.datasets.classes import match_classes


@pytest.mark.parametrize('version', ['2019', '2021'])
def test_class_lists_equal_mmdets(version, monkeypatch):
    # mmdet keeps the list on the class; restore it afterwards.
    monkeypatch.setattr(MMDetYouTubeVIS, 'METAINFO', MMDetYouTubeVIS.METAINFO)
    MMDetYouTubeVIS.set_dataset_classes(version)
    assert CLASS_LISTS[version] == MMDetYouTubeVIS.METAINFO['classes']


def test_class_lists_unknown_to_mmdet():
    assert CLASS_LISTS['2022'] == CLASS_LISTS['2021'] == resolve_class_list(2021)
    assert len(CLASS_LISTS['ovis']) == 25
    assert CLASS_LISTS['ovis'][0] == 'Person'
    assert CLASS_LISTS['ovis'][24] == 'Vehical'


@pytest.mark.parametrize(
    'classes', ['2020', [], ['cat', ' CAT'], ['cat', 3], ['cat', ''], 5, {}, ['\u200b'], ['\udcff']]
)
def test_invalid_class_lists_raise(classes):
    with pytest.raises(ValueError, match='classes'):
        resolve_class_list(classes)


def test_repaired_names_are_matched_in_list_order():
    categories = [Category(5, 'dog'), Category(9, 'Caf\u00c3\u00a9  terrace'), Category(0, ' CAT ')]
    labels = match_classes(categories, ('cat', 'dog', 'caf\u00e9 terrace'), 'f.json')
    assert labels.category_ids == (0, 5, 9)
    assert [labels.label_of(i) for i in (0, 5, 9, 1)] == [0, 1, 2, None]


def test_without_a_list_labels_follow_the_file():
    labels = match_classes([Category(5, 'dog'), Category(2, 'cat')], None, 'f.json')
    assert labels.classes == ('dog', 'cat')
    assert labels.category_ids == (5, 2)


def test_mismatch_error_names_both_sides():
    categories = [Category(1, 'dog'), Category(2, 'wolf')]
    with pytest.raises(AnnotationError, match=r"f\.json.*\['cat'\].*\['wolf'\]"):
        match_classes(categories, ('dog', 'cat'), 'f.json')
    labels = match_classes(categories, ('dog', 'cat'), 'f.json', allow_unlisted=True)
    assert labels.category_ids == (1, None)
