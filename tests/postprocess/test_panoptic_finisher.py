"""Tests of panoptic segments as tracks, of whole videos and of streams."""

import numpy as np
import pytest
import torch

from axialvs.postprocess.panoptic import PanopticThresholds
from axialvs.postprocess.panoptic_finisher import PanopticFinisher
from axialvs.postprocess.panoptic_fusion import FusionThresholds, fuse_panoptic
from axialvs.structures import ImageShapes
from axialvs.utils.rle import decode_mask

# Labels 0 and 1 are things, 2 is stuff; the last column of class logits is no-object.
THINGS = (0, 1)
SIZE = (8, 12)  # of the logits
SHAPES = ImageShapes((32, 48), (32, 48), (32, 48))
FINISHERS = {
    'merge': PanopticFinisher(THINGS, PanopticThresholds(pixel=0.6, thing=0.5, stuff=0.5)),
    'fusion': PanopticFinisher(THINGS, FusionThresholds(0.5, 0.5), fuse_panoptic),
}


@pytest.fixture(params=FINISHERS)
def finisher(request):
    return FINISHERS[request.param]


def class_logits(*labels: int | None) -> torch.Tensor:
    """Return confident logits (Q, 4), with None for queries without an object."""
    logits = torch.zeros(len(labels), 4)
    for query, label in enumerate(labels):
        logits[query, -1 if label is None else label] = 8.0
    return logits


def mask_logits(*boxes: tuple[int, int, int, int]) -> torch.Tensor:
    """Return logits (Q, 1, H, W) of boxes (top, bottom, left, right), later queries on top."""
    logits = torch.full((len(boxes), 1, *SIZE), -8.0)
    for query, (top, bottom, left, right) in enumerate(boxes):
        logits[:query, :, top:bottom, left:right] = -8.0
        logits[query, :, top:bottom, left:right] = 8.0
    return logits


LEFT, RIGHT, GROUND = (0, 4, 0, 5), (0, 4, 7, 12), (4, 8, 0, 12)


def finish(finisher, classes, clips):
    return finisher.finish(classes, lambda queries: (clip[queries] for clip in clips), SHAPES)


def test_tracks_of_a_video_match_its_merged_segments(finisher):
    classes = class_logits(2, 0, 1, None)
    clips = [mask_logits(GROUND, LEFT, RIGHT, (0, 0, 0, 0)) for _ in range(2)]
    clips[1] = mask_logits(GROUND, LEFT, (0, 0, 0, 0), (0, 0, 0, 0))
    tracks = finish(finisher, classes, clips)
    assert {(x.label, x.is_thing) for x in tracks} == {(2, False), (0, True), (1, True)}
    assert sorted(x.id for x in tracks) == [1, 2, 3]
    by_label = {x.label: x for x in tracks}
    assert by_label[1].segmentations[1] is None
    masks = [decode_mask(by_label[label].segmentations[0]) for label in (2, 0, 1)]
    assert np.stack(masks).sum(0).max() == 1  # one owner per pixel
    assert masks[1][:12, :16].all()
    assert not masks[1][:, 24:].any()


def test_queries_of_one_stuff_class_are_one_track(finisher):
    tracks = finish(finisher, class_logits(2, 2), [mask_logits(GROUND, LEFT)])
    (stuff,) = tracks
    assert not stuff.is_thing
    mask = decode_mask(stuff.segmentations[0])
    assert mask[2:12, 2:16].all()
    assert mask[20:, 2:-2].all()
    assert not mask[:12, 26:].any()


def test_stream_of_one_clip_matches_its_video(finisher):
    classes, clip = class_logits(2, 0, 1), mask_logits(GROUND, LEFT, RIGHT)
    stream = finisher.stream(0.0)
    streamed = stream.add(clip, classes, SHAPES)
    for track in finish(finisher, classes, [clip]):
        (row,) = np.flatnonzero(streamed.labels == track.label)
        assert np.array_equal(streamed.masks[row, 0], decode_mask(track.segmentations[0]))
        assert streamed.scores[row] == pytest.approx(track.score)


def test_ids_of_a_stream_persist(finisher):
    stream = finisher.stream(0.0)
    nothing = (0, 0, 0, 0)
    first = stream.add(mask_logits(GROUND, LEFT, RIGHT), class_logits(2, 0, 0), SHAPES)
    # The ground is predicted by another query, one thing is hidden, the other one moves.
    second = stream.add(mask_logits(nothing, LEFT, GROUND), class_logits(None, 0, 2), SHAPES)
    third = stream.add(mask_logits(GROUND, RIGHT, nothing), class_logits(2, 0, 0), SHAPES)
    things = [set(x.ids[x.labels == 0].tolist()) for x in (first, second, third)]
    ground = [x.ids[x.labels == 2].tolist() for x in (first, second, third)]
    assert len(things[0]) == 2
    assert things[1] == things[2] < things[0]
    assert ground[0] == ground[1] == ground[2]
    tracks = {track.id: track for track in stream.tracks()}
    assert len(tracks) == 3
    visible = [[x is not None for x in track.segmentations] for track in tracks.values()]
    assert sorted(visible) == [[True, False, False], [True, True, True], [True, True, True]]
    assert [track.is_thing for track in tracks.values()].count(False) == 1


@pytest.mark.parametrize(
    'low',
    [
        PanopticFinisher(THINGS, PanopticThresholds(pixel=0.4, stuff=0.3)),
        PanopticFinisher(THINGS, FusionThresholds(score=0.3), fuse_panoptic),
    ],
    ids=['merge', 'fusion'],
)
def test_score_threshold_of_a_stream(low):
    classes = torch.tensor([[0.0, 0.0, 1.0, 0.0]])  # probability 0.48
    clip = mask_logits(GROUND)
    assert len(low.stream(0.0).add(clip, classes, SHAPES).ids) == 1
    empty = low.stream(0.6).add(clip, classes, SHAPES)
    assert empty.masks.shape == (0, 1, 32, 48)
