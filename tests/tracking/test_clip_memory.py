"""Clip-wise linking: the release's ids, and the rules one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from axialvs.postprocess.panoptic import PanopticThresholds, merge_panoptic
from axialvs.structures import ImageShapes
from axialvs.tracking.clip_memory import ClipMemory

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'


class ReleaseIds:
    """Renames ids to the release's: 100 * class + index in the class."""

    def __init__(self):
        self.names, self.counts = {}, {}

    def __call__(self, ids, labels):
        for identifier, label in sorted(zip(ids, labels, strict=True)):
            if identifier not in self.names:
                index = self.counts.get(label, 0)
                self.names[identifier] = 100 * label + index
                self.counts[label] = index + 1
        return [self.names[identifier] for identifier in ids]


def test_ids_of_the_release():
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


def test_panoptic_clips_of_the_release():
    with np.load(FOLDER / 'kmax_postprocess.npz') as arrays:
        release = {name: torch.from_numpy(array) for name, array in arrays.items()}
    case = 'near_online_clips_r50_small'
    things = set(release['thing_classes'].tolist())
    memory, names, frames = ClipMemory(), ReleaseIds(), []
    for class_logits, mask_logits, embeddings in zip(
        release['class_logits'], release['mask_logits'], release['mask_embeddings'], strict=True
    ):
        video = merge_panoptic(
            class_logits,
            lambda _, logits=mask_logits: iter([logits]),
            ImageShapes((65, 97), (50, 80), (50, 80), align_corners=True),
            things,
            PanopticThresholds(*release[f'thresholds_{case}'].tolist()),
        )
        shown = [segment for segment in video.segments if segment.is_thing]
        labels = [segment.label for segment in shown]
        ids = memory.link(torch.tensor(labels), embeddings[[segment.query for segment in shown]])
        codes = {0: -1} | {s.id: s.label for s in video.segments}
        codes |= dict(zip((s.id for s in shown), names(ids, labels), strict=True))
        table = np.array([codes[i] for i in range(len(codes))])
        frames += [table[frame] for frame in video.frames()]
    found, expected = np.stack(frames[: release['frames']]), release[f'map_{case}'].numpy()
    assert set(np.unique(found)) == set(np.unique(expected))
    assert (found != expected).mean() <= 1e-3


def link(memory, *things):
    """Links (label, angle in degrees) pairs."""
    angles = torch.tensor([angle for _, angle in things]).deg2rad()
    embeddings = 3 * torch.stack((angles.cos(), angles.sin()), dim=1)
    return memory.link(torch.tensor([label for label, _ in things]), embeddings)


def test_things_keep_their_ids_within_a_class():
    memory = ClipMemory()
    assert link(memory, (0, 0.0), (0, 90.0), (1, 0.0)) == [1, 2, 3]
    assert link(memory, (0, 80.0), (1, 10.0), (0, 20.0)) == [2, 3, 1]


def test_the_cost_limit_starts_new_ids():
    assert link(ClipMemory(), (0, 0.0)) == [1]
    memory = ClipMemory()
    link(memory, (0, 0.0))
    assert link(memory, (0, 95.0)) == [2]
    memory = ClipMemory(cost_limit=1.0)
    link(memory, (0, 0.0))
    assert link(memory, (0, 95.0)) == [1]


def test_nothing_is_forgotten_and_embeddings_follow():
    memory = ClipMemory()
    link(memory, (0, 0.0))
    assert link(memory, (0, 60.0)) == [1]
    assert link(memory, (1, 0.0)) == [2]
    assert link(memory, (0, 120.0)) == [1]  # at 120 degrees from where it began


def test_the_whole_assignment_is_cheapest():
    memory = ClipMemory()
    link(memory, (0, 0.0), (0, 40.0))
    # 39 is nearest to 40, but then 80 would be left with 0
    assert link(memory, (0, 39.0), (0, 79.0)) == [1, 2]


@pytest.mark.parametrize('num_channels', [1, 4])
def test_a_clip_without_things(num_channels):
    memory = ClipMemory()
    assert memory.link(torch.zeros(0), torch.zeros(0, num_channels)) == []
    assert link(memory, (0, 0.0)) == [1]
