"""The live protocol: tracks appear above the score threshold and keep their ids."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from axialvs.postprocess.instances import StreamingTracks
from axialvs.structures import ImageShapes

SHAPES = ImageShapes((8, 8), (8, 8), (8, 8))
NUM_CLASSES = 2


def class_logits(*probabilities_and_labels) -> torch.Tensor:
    """Return logits (Q, N + 1) whose best class has the given probability."""
    rows = []
    for probability, label in probabilities_and_labels:
        row = torch.full((NUM_CLASSES + 1,), 1e-9)
        row[label], row[-1] = probability, 1 - probability
        rows.append(row.log())
    return torch.stack(rows)


def masks(num_queries: int, num_frames: int) -> torch.Tensor:
    """Query q has row q in every frame."""
    logits = torch.full((num_queries, num_frames, 8, 8), -3.0)
    for query in range(num_queries):
        logits[query, :, query] = 3.0
    return logits


def test_ids_follow_queries_and_masks_follow_frames():
    live = StreamingTracks(score_thr=0.5, max_tracks=10)
    first = live.add(masks(3, 2), class_logits((0.2, 0), (0.9, 1), (0.6, 0)), SHAPES)
    second = live.add(masks(3, 3), class_logits((0.7, 0), (0.8, 1), (0.4, 0)), SHAPES)
    third = live.add(masks(3, 1), class_logits((0.6, 0), (0.1, 1), (0.9, 1)), SHAPES)
    named = [
        dict(zip(ids.tolist(), labels.tolist(), strict=True))
        for ids, labels, *_ in (first, second, third)
    ]
    assert named == [{1: 1, 2: 0}, {1: 1, 3: 0}, {3: 0, 2: 1}]
    assert first[2].tolist() == pytest.approx([0.9, 0.6])
    query_of = {1: 1, 2: 2, 3: 0}
    for ids, _, scores, shown, _ in (first, second, third):
        assert sorted(scores, reverse=True) == scores.tolist()
        for object_id, mask in zip(ids, shown, strict=True):
            expected = np.zeros((8, 8), bool)
            expected[query_of[object_id]] = True
            assert (mask == expected).all()
    tracks = {track.id: track for track in live.tracks()}
    present = {i: [code is not None for code in track.segmentations] for i, track in tracks.items()}
    assert present[1] == [True] * 5 + [False]
    assert present[2] == [True] * 2 + [False] * 3 + [True]
    assert present[3] == [False] * 2 + [True] * 4
    assert {i: track.label for i, track in tracks.items()} == {1: 1, 2: 1, 3: 0}
    # Over the frames with a mask: neither 0.1 of the last clip nor 0.4 of the second.
    assert tracks[1].score == pytest.approx((2 * 0.9 + 3 * 0.8) / 5)
    assert tracks[2].score == pytest.approx((2 * 0.6 + 0.9) / 3)
    assert tracks[2].frame_scores[2:5] == [None] * 3
    assert tracks[2].frame_scores[:2] + tracks[2].frame_scores[5:] == pytest.approx([0.6, 0.6, 0.9])
    assert coco_mask.decode(tracks[2].segmentations[5])[2].all()


def test_score_threshold_is_inclusive():
    logits = class_logits((0.5, 0), (0.25, 1))
    threshold = float(logits.softmax(-1)[1, 1])
    ids, *_ = StreamingTracks(threshold, 10).add(masks(2, 1), logits, SHAPES)
    assert ids.tolist() == [1, 2]


def test_number_of_tracks_is_limited():
    live = StreamingTracks(score_thr=0.1, max_tracks=2)
    ids, labels, scores, shown, _ = live.add(
        masks(4, 2), class_logits((0.3, 0), (0.9, 1), (0.5, 0), (0.8, 1)), SHAPES
    )
    assert labels.tolist() == [1, 1]
    assert scores.tolist() == pytest.approx([0.9, 0.8])
    assert shown[1, 0, 3].all()
    assert len(ids) == len(live.tracks()) == 2


def test_a_clip_without_objects():
    live = StreamingTracks(score_thr=0.5, max_tracks=10)
    assert live.tracks() == []
    ids, labels, scores, shown, _ = live.add(masks(2, 3), class_logits((0.1, 0), (0.2, 1)), SHAPES)
    assert (ids.shape, labels.shape, scores.shape, shown.shape) == ((0,), (0,), (0,), (0, 3, 8, 8))
    assert live.tracks() == []
    live.add(masks(2, 1), class_logits((0.9, 0), (0.2, 1)), SHAPES)
    (track,) = live.tracks()
    assert [code is not None for code in track.segmentations] == [False] * 3 + [True]


def test_empty_masks_are_none():
    live = StreamingTracks(score_thr=0.5, max_tracks=10)
    logits = masks(1, 2)
    logits[0, 1] = -3
    ids, *_ = live.add(logits, class_logits((0.9, 0)), SHAPES)
    assert ids.tolist() == [1]
    assert [code is not None for code in live.tracks()[0].segmentations] == [True, False]


def test_class_changes_only_by_a_clear_margin():
    live = StreamingTracks(score_thr=0.3, max_tracks=10)
    seen = []
    for first, second in ((0.5, 0.3), (0.4, 0.45), (0.5, 0.4), (0.35, 0.5), (0.45, 0.4)):
        logits = torch.tensor([[first, second, 1 - first - second]]).log()
        _, labels, scores, *_ = live.add(masks(1, 1), logits, SHAPES)
        seen.append((int(labels[0]), round(float(scores[0]), 4)))
        (track,) = live.tracks()
        assert track.label == seen[-1][0]
        assert track.score == pytest.approx(np.mean([score for _, score in seen]))
    assert seen == [(0, 0.5), (0, 0.4), (0, 0.5), (1, 0.5), (1, 0.4)]
