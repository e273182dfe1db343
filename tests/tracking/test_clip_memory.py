"""Clip-wise linking: parity with the release's ids, and each rule."""

from pathlib import Path

import numpy as np
import pytest
import torch

from axialvs.postprocess.panoptic import PanopticThresholds
from axialvs.postprocess.panoptic_finisher import PanopticFinisher
from axialvs.structures import ClipPrediction, ImageShapes
from axialvs.tracking.clip_memory import ClipMemory
from axialvs.tracking.clip_wise import ClipWiseVideo
from axialvs.tracking.near_online import NearOnlineVideo
from axialvs.utils.rle import decode_mask

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'


class ReleaseIds:
    """Convert ids to the release's: 100 * class + index in the class."""

    def __init__(self):
        self.names, self.counts = {}, {}

    def __call__(self, ids, labels):
        for identifier, label in sorted(zip(ids, labels, strict=True)):
            if identifier not in self.names:
                index = self.counts.get(label, 0)
                self.names[identifier] = 100 * label + index
                self.counts[label] = index + 1
        return [self.names[identifier] for identifier in ids]


def test_ids_match_the_release():
    with np.load(FOLDER / 'kmax_clip_linking.npz') as arrays:
        arrays = dict(arrays)
    memory, names = ClipMemory(float(arrays['cost_limit'])), ReleaseIds()
    for k, expected in enumerate(arrays['ids_after']):
        things = [
            (label, embedding)
            for label in arrays['classes'].tolist()
            for embedding in arrays.get(f'embeddings_{k}_{label}', ())
        ]
        labels = torch.tensor([label for label, _ in things])
        embeddings = torch.from_numpy(np.stack([embedding for _, embedding in things]))
        ids = memory.link(labels, embeddings)
        assert names(ids, labels.tolist()) == expected[expected >= 0].tolist()


@pytest.fixture(scope='module')
def release():
    with np.load(FOLDER / 'kmax_postprocess.npz') as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.mark.parametrize(
    ('video_type', 'new_memory', 'case'),
    [
        (ClipWiseVideo, ClipMemory, 'near_online_clips_r50_small'),
        (NearOnlineVideo, None, 'near_online_video_r50_small'),
    ],
)
def test_videos_match_the_release(release, video_type, new_memory, case):
    """The last clip repeats a frame, which affects the scores and is then removed."""
    thresholds = PanopticThresholds(*release[f'thresholds_{case}'].tolist())
    things = release['thing_classes'].tolist()
    finisher = PanopticFinisher(things, thresholds, new_memory=new_memory)
    video = video_type(finisher, score_padded=True)
    num_frames = int(release['frames'])
    shapes = ImageShapes((65, 97), (50, 80), (50, 80), align_corners=True)
    for k in range(3):
        clip = ClipPrediction(
            release['class_logits'][k],
            release['mask_logits'][k],
            torch.zeros(14, 1),
            release['mask_embeddings'][k],
        )
        video.add(clip, shapes, min(2, num_frames - 2 * k))
    tracks = video.finish()
    video.close()
    names = ReleaseIds()(
        [track.id for track in tracks if track.is_thing],
        [track.label for track in tracks if track.is_thing],
    )
    things_named = iter(names)
    found = np.full((num_frames, *shapes.ori_shape), -1)
    for track in tracks:
        name = next(things_named) if track.is_thing else track.label
        for frame, rle in enumerate(track.segmentations):
            if rle is not None:
                found[frame][decode_mask(rle).astype(bool)] = name
    expected = release[f'map_{case}'].numpy()
    assert set(np.unique(found)) == set(np.unique(expected))
    assert (found != expected).mean() <= 1e-3


def test_repeated_frame_affects_the_scores(release):
    things = release['thing_classes'].tolist()
    finisher = PanopticFinisher(things, PanopticThresholds(0.3, 0.2, 0.3))
    shapes = ImageShapes((65, 97), (50, 80), (50, 80), align_corners=True)
    scores = []
    for score_padded in (True, False):
        video = NearOnlineVideo(finisher, score_padded=score_padded)
        clip = ClipPrediction(
            release['class_logits'][0], release['mask_logits'][0], torch.zeros(14, 1)
        )
        video.add(clip, shapes, 1)
        tracks = video.finish()
        video.close()
        assert {len(track.segmentations) for track in tracks} == {1}
        scores.append([track.score for track in tracks])
    assert scores[0] != scores[1]


def link(memory, *things):
    """Link (label, angle in degrees) pairs."""
    angles = torch.tensor([angle for _, angle in things]).deg2rad()
    embeddings = 3 * torch.stack((angles.cos(), angles.sin()), dim=1)
    return memory.link(torch.tensor([label for label, _ in things]), embeddings)


def test_things_keep_their_ids_within_a_class():
    memory = ClipMemory()
    assert link(memory, (0, 0.0), (0, 90.0), (1, 0.0)) == [1, 2, 3]
    assert link(memory, (0, 80.0), (1, 10.0), (0, 20.0)) == [2, 3, 1]


def test_cost_limit_starts_new_ids():
    assert link(ClipMemory(), (0, 0.0)) == [1]
    memory = ClipMemory()
    link(memory, (0, 0.0))
    assert link(memory, (0, 95.0)) == [2]
    memory = ClipMemory(cost_limit=1.0)
    link(memory, (0, 0.0))
    assert link(memory, (0, 95.0)) == [1]


def test_embeddings_are_updated_and_never_dropped():
    memory = ClipMemory()
    link(memory, (0, 0.0))
    assert link(memory, (0, 60.0)) == [1]
    assert link(memory, (1, 0.0)) == [2]
    assert link(memory, (0, 120.0)) == [1]  # 120 degrees from its first embedding


def test_assignment_minimizes_the_total_cost():
    memory = ClipMemory()
    link(memory, (0, 0.0), (0, 40.0))
    # 39 is nearest to 40, but then 79 would be matched to 0
    assert link(memory, (0, 39.0), (0, 79.0)) == [1, 2]


@pytest.mark.parametrize('num_channels', [1, 4])
def test_a_clip_without_things(num_channels):
    memory = ClipMemory()
    assert memory.link(torch.zeros(0), torch.zeros(0, num_channels)) == []
    assert link(memory, (0, 0.0)) == [1]
