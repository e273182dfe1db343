"""Occlusion, re-entry and crossing look-alikes: only linking with memory succeeds."""

import math

import pytest
import torch

from axialvs.structures import ClipPrediction
from axialvs.tracking.identity_memory import IdentityMemory
from axialvs.tracking.linking import ClipLinker, LinkSettings
from axialvs.utils.errors import AxialVSError

QUERIES, FRAMES, SIDE = 6, 2, 20


def direction(degrees):
    """Return an identity vector at an angle in the plane of the objects."""
    angle = math.radians(degrees)
    return torch.tensor([math.cos(angle), math.sin(angle), 0.0, 0.0, 0.0, 0.0])


def empty(slot):
    """Return the identity vector of a query without an object."""
    return torch.eye(6)[2 + slot % 4]


def clip_of(objects, seed, frames=FRAMES):
    """Return a clip of `{query: (name, identity, x of each frame)}`; other queries are empty.

    The class logits of a query name the object, after a background class.
    """
    class_logits = torch.zeros(QUERIES, 4)
    class_logits[:, -1] = 8.0
    masks = torch.full((QUERIES, frames, SIDE, SIDE), -5.0)
    queries = torch.stack([empty(slot) for slot in range(QUERIES)])
    queries += 0.05 * torch.randn(QUERIES, 6, generator=torch.Generator().manual_seed(seed))
    for query, (name, identity, xs) in objects.items():
        class_logits[query] = torch.tensor([0.0, 0.0, 0.0, -8.0])
        class_logits[query, name] = 8.0
        queries[query] = identity
        for t, x in enumerate(xs):
            masks[query, t, 8:12, x : x + 2] = 5.0
    return ClipPrediction(class_logits, masks, queries)


def slots_of(clips, **settings):
    """Return the slot of each object in each clip as `[{name: slot}]`."""
    linker = ClipLinker(LinkSettings(**settings))
    found = []
    for clip in clips:
        linked = linker.link(clip)
        assert linked.mask_logits.shape == clip.mask_logits.shape
        labels = linked.class_logits.argmax(1).tolist()
        found.append({label: slot for slot, label in enumerate(labels) if label < 3})
    return found


def kept(slots):
    """Return whether every object has one slot, and every slot one object."""
    by_name = {}
    for of_clip in slots:
        for name, slot in of_clip.items():
            by_name.setdefault(name, set()).add(slot)
    all_slots = [slot for found in by_name.values() for slot in found]
    return all(len(x) == 1 for x in by_name.values()) and len(set(all_slots)) == len(all_slots)


def occlusion(hidden=3):
    """Object 1 disappears and returns, while its empty query drifts towards object 0.

    On its return it is predicted by another query.
    """
    clips = [clip_of({0: (0, direction(0), (2, 2)), 1: (1, direction(60), (14, 14))}, seed=0)]
    for k in range(hidden):
        clip = clip_of({0: (0, direction(0), (2, 2))}, seed=k + 1)
        clip.queries[1] = empty(3)
        clips.append(clip)
    return [*clips, clip_of({4: (0, direction(5), (2, 2)), 2: (1, direction(55), (14, 14))}, 9)]


def crossing():
    """Two look-alikes cross; while they touch, their features mix."""
    angles = ((0, 20), (0, 20), (16, 4), (10, 12), (0, 20))
    clips = []
    for k, (a, b) in enumerate(angles):
        xs = [2 * k * 2, 2 * k * 2 + 2]
        objects = {
            k % 6: (0, direction(a), xs),
            (k + 3) % 6: (1, direction(b), [18 - x for x in xs]),
        }
        clips.append(clip_of(objects, seed=k))
    return clips


@pytest.mark.parametrize('make', [occlusion, crossing])
def test_memory_keeps_identities_lost_by_previous_clip_linking(make):
    clips = make()
    assert not kept(slots_of(clips))
    assert kept(slots_of(clips, memory=dict(momentum=0.8)))


def test_position_distinguishes_equal_objects():
    """Two identical objects cross, distinguishable only by their motion."""
    clips = []
    for k in range(5):
        xs = [4 * k, 4 * k + 2]
        first, second = (0, direction(0), xs), (1, direction(0), [18 - x for x in xs])
        order = (first, second) if k % 2 else (second, first)
        clips.append(clip_of(dict(enumerate(order)), seed=k))
    assert kept(slots_of(clips, memory=dict(place_weight=1.0)))
    assert not kept(slots_of(clips, memory=dict(place_weight=0.0)))


@pytest.mark.parametrize(('max_age', 'same'), [(None, True), (3, True), (2, False)])
def test_identities_expire_after_max_age(max_age, same):
    slots = slots_of(occlusion(hidden=3), memory=dict(max_age=max_age))
    assert (slots[0][1] == slots[-1][1]) == same
    assert slots[0][0] == slots[-1][0]


@pytest.mark.parametrize(
    ('settings', 'same'),
    [
        (dict(min_similarity=0.4), True),
        (dict(min_similarity=0.6), False),
        (dict(max_speed=0.15), True),
        (dict(max_speed=0.05), False),
    ],
)
def test_gates_start_a_new_identity(settings, same):
    """It turns by 60 degrees (cosine 0.5) and jumps 12 of 28 cells (0.42) within 4 frames."""
    clips = [
        clip_of({0: (0, direction(0), (2, 2))}, seed=0),
        clip_of({}, seed=1),
        clip_of({3: (0, direction(60), (13, 13))}, seed=2),
    ]
    slots = slots_of(clips, memory=dict(momentum=0.0, **settings))
    assert (slots[0][0] == slots[2][0]) == same


def test_moving_average_of_identities():
    memory = IdentityMemory(momentum=0.75)
    clips = [clip_of({k: (0, direction(90 * k), (2, 2))}, seed=k) for k in range(2)]
    for clip in clips:
        order = memory.match(clip.queries, clip)
    slot = int((order == 1).nonzero())
    expected = torch.nn.functional.normalize(0.75 * direction(0) + 0.25 * direction(90), dim=0)
    torch.testing.assert_close(memory._features[slot], expected)
    hidden = clip_of({}, seed=5)
    memory.match(hidden.queries, hidden)
    torch.testing.assert_close(memory._features[slot], expected)


def test_orders_are_permutations_and_memory_is_constant():
    memory, rng = IdentityMemory(), torch.Generator().manual_seed(0)
    sizes = set()
    for _ in range(6):
        masks = 3 * torch.randn(QUERIES, 3, 5, 7, generator=rng)
        clip = ClipPrediction(torch.randn(QUERIES, 4, generator=rng), masks, torch.eye(QUERIES))
        order = memory.match(torch.randn(QUERIES, 4, generator=rng), clip)
        assert sorted(order.tolist()) == list(range(QUERIES))
        sizes.add(sum(x.numel() for x in vars(memory).values() if torch.is_tensor(x)))
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ('settings', 'value'), [(dict(momentum=1.0), '1.0'), (dict(max_age=-1), '-1')]
)
def test_settings_out_of_range_raise(settings, value):
    with pytest.raises(AxialVSError, match=value):
        IdentityMemory(**settings)


def test_queries_and_masks_that_overlap():
    """Queries and masks in the shared frames suggest different links."""
    before = clip_of({0: (0, direction(0), (2, 2)), 1: (1, direction(90), (14, 14))}, seed=0)
    after = clip_of({0: (1, direction(0), (14,) * 3), 1: (0, direction(90), (2,) * 3)}, 1, frames=3)
    by_queries, by_masks = (LinkSettings(by=by, overlap=1) for by in ('queries', 'mask_iou'))
    for settings, same in ((by_queries, False), (by_masks, True)):
        linker = ClipLinker(settings)
        linker.link(before)
        linked = linker.link(after)
        assert linked.mask_logits.shape[1] == 2  # without the shared frame
        assert (linked.class_logits[0].argmax().item() == 0) == same


@pytest.mark.parametrize(
    ('linking', 'value'),
    [
        (dict(by='iou'), "'iou'"),
        (dict(by='mask_iou'), 'overlap'),
        (dict(overlap=-1), '-1'),
        (dict(overlaps=1), 'overlaps'),
        ('memmory', 'memmory'),
    ],
)
def test_broken_linking_settings_raise(linking, value):
    with pytest.raises(AxialVSError, match=value):
        LinkSettings.from_test_cfg(dict(linking=linking), masks_compete=False)
