"""Video copy-paste: parity with the release, ids, stuff, and placement."""

import random
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import TRANSFORMS

from axialvs.datasets.segment_masks import SegmentMasks
from axialvs.datasets.transforms.clip_copy_paste import ClipCopyPaste, paste_segments
from axialvs.utils.errors import AxialVSError


def masks_of(ids, listed):
    """Return the masks of the given ids in an id map (H, W)."""
    numbers = np.arange(1, len(listed) + 1)
    segments = sum(n * (ids == i) for n, i in zip(numbers, listed, strict=True))
    return SegmentMasks(np.broadcast_to(segments, ids.shape).astype(np.uint16), numbers)


def make_clip(frames, labels, segments):
    """Return a clip from id maps (T, H, W) and each frame's segments (id, class, thing, crowd)."""
    masks = [
        masks_of(ids, listed[:, 0].tolist()) for ids, listed in zip(labels, segments, strict=True)
    ]
    return dict(
        img=list(frames),
        gt_masks=masks,
        gt_bboxes=[None] * len(masks),
        gt_instances_ids=[listed[:, 0].astype(np.int64) for listed in segments],
        gt_bboxes_labels=[listed[:, 1].astype(np.int64) for listed in segments],
        gt_is_thing=[listed[:, 2].astype(bool) for listed in segments],
        gt_ignore_flags=[listed[:, 3].astype(bool) for listed in segments],
    )


def tubes_of(clip, step=1):
    """Return label and mask (T, H, W) by id, every `step`-th pixel, without crowds."""
    tubes = {}
    for t, masks in enumerate(clip['gt_masks']):
        for row, identifier in enumerate(clip['gt_instances_ids'][t].tolist()):
            if clip['gt_ignore_flags'][t][row]:
                continue
            label = int(clip['gt_bboxes_labels'][t][row])
            shape = (len(clip['gt_masks']), *masks.masks[:, ::step, ::step].shape[1:])
            known, tube = tubes.setdefault(identifier, (label, np.zeros(shape, np.uint8)))
            assert known == label
            tube[t] = masks.masks[row, ::step, ::step]
    return tubes


def test_matches_the_release():
    path = Path(__file__).parents[1] / 'data' / 'parity' / 'kmax_copy_paste.npz'
    with np.load(path) as arrays:
        release = dict(arrays)
    clip, other = (
        make_clip(
            release[f'{prefix}frames'],
            release[f'{prefix}labels'],
            [release[f'{prefix}segments_{t}'] for t in range(2)],
        )
        for prefix in ('', 'pasted_')
    )
    first = release['pasted_segments_0']
    usable = first[first[:, 3] == 0]
    chosen = {*usable[usable[:, 2] == 1, 0].tolist(), *usable[: release['keep'], 0].tolist()}
    clip = paste_segments(clip, other, chosen, (0, 0))

    height, width = clip['img'][0].shape[:2]
    frames = np.stack(clip['img']).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(frames, release['out_frames'][..., :height, :width])
    rows = -(-height // 4)
    expected = [
        (label, mask[:, :rows].tobytes())
        for label, mask in zip(release['out_classes'].tolist(), release['out_masks'], strict=True)
    ]
    assert not release['out_masks'][:, :, rows:].any()
    tubes = tubes_of(clip, step=4).values()
    found = [(label, mask.tobytes()) for label, mask in tubes if mask.any()]
    assert sorted(found) == sorted(expected)


def square_clip(ids, value, size=(6, 8), length=2):
    """Return a clip with one column per (id, label, is thing); other pixels are void."""
    labels = np.zeros((length, *size), dtype=np.int64)
    for column, (identifier, *_) in enumerate(ids):
        labels[:, :, column] = identifier
    segments = np.array([(*segment, 0) for segment in ids]).reshape(-1, 4)
    return make_clip(np.full((length, *size, 3), value, np.uint8), labels, [segments] * length)


def test_equal_ids_are_separated_and_equal_stuff_is_merged():
    clip = square_clip([(1, 0, True), (2, 5, False)], 10)
    other = square_clip([(1, 0, True), (2, 5, False), (3, 6, False)], 20, size=(3, 4))
    tubes = tubes_of(paste_segments(clip, other, {1, 2, 3}, (2, 4)))
    assert {i: label for i, (label, _) in tubes.items()} == {1: 0, 2: 5, 3: 0, 4: 6}
    assert [int(mask.sum()) for _, mask in tubes.values()] == [12, 12 + 6, 6, 6]
    assert tubes[3][1][:, 2:5, 4].all()
    assert clip['gt_bboxes'][0].tensor[2].tolist() == [4, 2, 5, 5]
    pasted = np.stack(clip['img'])[..., 0] == 20
    assert (pasted == (tubes[3][1] | tubes[4][1] | tubes[2][1] * (np.arange(8) > 3))).all()


def test_stuff_is_merged_in_frames_that_lack_its_class():
    clip = square_clip([(7, 5, False)], 10)
    for key in ('gt_instances_ids', 'gt_bboxes_labels', 'gt_is_thing', 'gt_ignore_flags'):
        clip[key][1] = clip[key][1][:0]
    clip['gt_masks'][1] = clip['gt_masks'][1][[]]
    other = square_clip([(2, 5, False)], 20)
    tubes = tubes_of(paste_segments(clip, other, {2}, (0, 2)))
    assert list(tubes) == [7]
    assert tubes[7][1].sum((1, 2)).tolist() == [12, 6]


@pytest.mark.parametrize('offset', [(-2, -1), (4, 6), (-10, 0), (20, 20)])
def test_pasted_segments_are_clipped_at_the_border(offset):
    clip = square_clip([], 10)
    other = square_clip([(i, 0, True) for i in range(1, 9)], 20)
    tubes = tubes_of(paste_segments(clip, other, set(range(1, 9)), offset))
    expected = np.zeros((6, 8), dtype=bool)
    top, left = offset
    if -6 < top < 6:
        expected[max(top, 0) : max(top + 6, 0), max(left, 0) : max(left + 8, 0)] = True
    assert (sum(mask for _, mask in tubes.values())[0] == expected).all()
    assert ((clip['img'][1][..., 0] == 20) == expected).all()


def transformed(seed=0, other=None, **settings):
    random.seed(seed)
    clip = square_clip([(1, 0, True), (2, 5, False)], 10)
    other = other or square_clip([(1, 0, True), (2, 7, False), (3, 8, False)], 20, size=(3, 4))
    clip['mix_results'] = [other]
    return TRANSFORMS.build(dict(type='ClipCopyPaste', **settings)).transform(clip)


def test_all_things_and_random_stuff_are_pasted():
    labels = [
        frozenset(label for label, _ in tubes_of(transformed(seed)).values()) for seed in range(40)
    ]
    assert set(labels) == {
        frozenset({0, 5}),
        frozenset({0, 5, 7}),
        frozenset({0, 5, 8}),
        frozenset({0, 5, 7, 8}),
    }


def test_random_place_covers_all_positions():
    def corner(result):
        return tuple(np.argwhere(tubes_of(result)[3][1][0])[0].tolist())

    corners = {corner(transformed(seed)) for seed in range(200)}
    assert corners == {(y, x) for y in range(4) for x in range(5)}
    assert {corner(transformed(seed, random_place=False)) for seed in range(5)} == {(0, 0)}


def test_larger_pasted_clip_covers_the_frame():
    other = square_clip([(1, 0, True)], 20, size=(12, 20))
    other['gt_masks'] = [masks_of(np.ones((12, 20), int), [1])] * 2
    for seed in range(10):
        assert (np.stack(transformed(seed, other)['img']) == 20).all()


def test_crowds_and_segments_absent_at_first_are_not_pasted():
    other = square_clip([(1, 0, True), (2, 3, True)], 20, size=(3, 4))
    other['gt_ignore_flags'] = [np.array([True, False])] * 2
    for key in ('gt_instances_ids', 'gt_bboxes_labels', 'gt_is_thing', 'gt_ignore_flags'):
        other[key][0] = other[key][0][:1]
    other['gt_masks'][0] = other['gt_masks'][0][[0]]
    assert len(tubes_of(transformed(other=other))) == 2


def test_probability_and_lengths():
    assert set(tubes_of(transformed(prob=0.0))) == {1, 2}
    with pytest.raises(AxialVSError, match='3 frames'):
        transformed(other=square_clip([], 20, length=3))
    with pytest.raises(AxialVSError, match=r'1\.5'):
        ClipCopyPaste(prob=1.5)
