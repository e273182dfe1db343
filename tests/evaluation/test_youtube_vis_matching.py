"""Greedy matching on hand-made cases; test_youtube_vis_ap.py compares with the reference."""

import numpy as np

from axialvs.evaluation.track_matching import match_tracks

HALF = np.array([0.5])


def match(ious, ignored=None, crowd=None, thresholds=HALF):
    ious = np.array(ious, dtype=float)
    num_gts = ious.shape[1]
    ignored = np.zeros((1, num_gts), bool) if ignored is None else np.array([ignored], bool)
    crowd = np.zeros(num_gts, bool) if crowd is None else np.array(crowd, bool)
    return match_tracks(ious, ignored, crowd, thresholds)[0]


def test_first_detection_takes_its_best_match():
    assert match([[0.6, 0.9], [0.7, 0.8]]).tolist() == [[1, 0]]


def test_thresholds_are_inclusive_and_independent():
    matches = match([[0.5, 0.7]], thresholds=np.array([0.5, 0.6, 0.75]))
    assert matches.tolist() == [[1], [1], [-1]]
    assert match([[0.5]]).tolist() == [[0]]
    assert match([[0.499]]).tolist() == [[-1]]


def test_ties_take_the_last():
    assert match([[0.8, 0.8, 0.6]]).tolist() == [[1]]


def test_perfect_tube_matches_at_one():
    assert match([[1 - 1e-12]], thresholds=np.array([1.0])).tolist() == [[0]]


def test_regular_objects_precede_ignored_ones():
    assert match([[0.55, 0.95], [0.6, 0.9]], ignored=[0, 1]).tolist() == [[0, 1]]


def test_crowd_matches_any_number_of_detections():
    ious = [[0.9], [0.8], [0.7]]
    assert match(ious, ignored=[1], crowd=[1]).tolist() == [[0, 0, 0]]
    assert match(ious, ignored=[1], crowd=[0]).tolist() == [[0, -1, -1]]


def test_nothing_to_match():
    assert match(np.zeros((2, 0))).tolist() == [[-1, -1]]
    assert match(np.zeros((0, 2))).tolist() == [[]]
