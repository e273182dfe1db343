"""Panoptic merging: parity with the release, an eager reference, and thresholds by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from axialvs.postprocess.panoptic import PanopticThresholds, merge_panoptic
from axialvs.structures import ImageShapes

PADDED = (65, 97)
RESIZED = {'small': (50, 80), 'large': (58, 97)}


@pytest.fixture(scope='module')
def release():
    path = Path(__file__).parents[1] / 'data' / 'parity' / 'kmax_postprocess.npz'
    with np.load(path) as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def release_map(video):
    """Map ids to the release's: stuff = class, thing = 100 * class + index, void = -1."""
    codes, seen = {0: -1}, {}
    for segment in video.segments:
        index = seen.setdefault(segment.label, 0)
        seen[segment.label] += 1
        codes[segment.id] = 100 * segment.label + index if segment.is_thing else segment.label
    table = np.array([codes[i] for i in range(len(codes))])
    return np.stack([table[frame] for frame in video.frames()])


def ids_in_order(video_map):
    """Return the ids of a map except void."""
    return sorted(set(np.unique(video_map).tolist()) - {-1})


def merge(release, class_logits, clips, case, thresholds):
    size = case.rpartition('_')[2]
    original = tuple(release[f'size_{case}'].tolist())
    return merge_panoptic(
        class_logits.float(),
        lambda _: iter(clips),
        ImageShapes(PADDED, RESIZED[size], original, align_corners=True),
        set(release['thing_classes'].tolist()),
        PanopticThresholds(*thresholds),
    )


def assert_same(found, expected):
    assert ids_in_order(found) == ids_in_order(expected)
    assert (found != expected).mean() <= 1e-3


@pytest.mark.parametrize('size', ['small', 'large'])
@pytest.mark.parametrize('name', ['near_online_video_r50', 'near_online_video_convnext', 'offline'])
def test_videos_of_the_release(release, name, size):
    case = f'{name}_{size}'
    order, num_frames = release['order'], int(release['frames'])
    clips = [masks[i] for masks, i in zip(release['mask_logits'], order, strict=True)]
    class_logits = [x[i].float() for x, i in zip(release['class_logits'], order, strict=True)]
    class_logits = torch.stack(class_logits).mean(0)
    if name == 'offline':
        class_logits = release['video_class_logits']
        clips[-1] = clips[-1][:, : num_frames - 4]
    video = merge(release, class_logits, clips, case, release[f'thresholds_{case}'].tolist())
    assert_same(release_map(video)[:num_frames], release[f'map_{case}'].numpy())


def test_clips_of_the_release(release):
    case = 'near_online_clips_r50_small'
    for k, expected in enumerate(release['clip_maps_r50_small'].numpy()):
        video = merge(
            release,
            release['class_logits'][k],
            [release['mask_logits'][k]],
            case,
            release[f'thresholds_{case}'].tolist(),
        )
        assert_same(release_map(video), expected)


@pytest.mark.parametrize('size', ['small', 'large'])
def test_images_of_the_release(release, size):
    video = merge_panoptic(
        release['class_logits'][0],
        lambda _: iter([release['mask_logits'][0, :, :1]]),
        ImageShapes(
            PADDED,
            tuple(release[f'image_resized_{size}'].tolist()),
            tuple(release[f'image_size_{size}'].tolist()),
            align_corners=True,
        ),
        set(release['thing_classes'].tolist()),
        PanopticThresholds(0.4, 0.7, 0.5, 0.8),
    )
    found = [[s.id, s.label, int(s.is_thing)] for s in video.segments]
    assert found == release[f'image_segments_{size}'].tolist()
    (ids,) = video.frames()
    assert (ids != release[f'image_map_{size}'].numpy()).mean() <= 1e-3


def merge_at_once(class_logits, mask_logits, shapes, thing_labels, thresholds):
    """Merge all pixels of a video at once, (Q, L, H, W) at the original size."""
    height, width = shapes.img_shape
    logits = F.interpolate(
        mask_logits.double(),
        shapes.batch_input_shape,
        mode='bilinear',
        align_corners=shapes.align_corners,
    )[..., :height, :width]
    logits = F.interpolate(
        logits, shapes.ori_shape, mode='bilinear', align_corners=shapes.align_corners
    )
    probabilities = logits.softmax(0)
    confident = probabilities > thresholds.pixel
    class_scores, labels = class_logits.double().softmax(-1)[:, :-1].max(-1)
    scores = [
        class_scores[q] * (probabilities[q][confident[q]].mean() if confident[q].any() else 0)
        for q in range(len(labels))
    ]
    owner = torch.zeros(probabilities.shape[1:], dtype=torch.int32)
    segments, stuff = [], {}
    for q in sorted(range(len(labels)), key=lambda q: -scores[q]):
        label = int(labels[q])
        is_thing = label in thing_labels
        free = confident[q] & (owner == 0)
        if class_scores[q] < (thresholds.thing if is_thing else thresholds.stuff):
            continue
        if not free.sum() > thresholds.overlap * confident[q].sum():
            continue
        if is_thing or label not in stuff:
            segments.append((label, is_thing, float(scores[q])))
            stuff[label] = len(segments)
        owner[free] = stuff[label]
    return segments, owner.numpy()


@pytest.mark.parametrize('pixel', [0.12, 0.3, 0.45, 0.6])
@pytest.mark.parametrize(
    'shapes',
    [
        ImageShapes((33, 49), (33, 49), (33, 49), True),
        ImageShapes((33, 49), (30, 44), (30, 44), True),
        ImageShapes((32, 48), (32, 48), (71, 105)),
        ImageShapes((33, 49), (20, 49), (13, 30), True),
    ],
)
def test_streaming_equals_merging_at_once(shapes, pixel):
    rng = torch.Generator().manual_seed(0)
    height, width = (size // 4 + size % 2 for size in shapes.batch_input_shape)
    mask_logits = 5 * torch.randn(70, 5, height, width, generator=rng)
    class_logits = torch.randn(70, 5, generator=rng)
    things, thresholds = {0, 2}, PanopticThresholds(pixel, 0.25, 0.3, 0.6)
    clips = mask_logits.split(2, dim=1)
    video = merge_panoptic(class_logits, lambda _: iter(clips), shapes, things, thresholds)
    segments, owner = merge_at_once(class_logits, mask_logits, shapes, things, thresholds)
    assert len(segments) > 3
    assert [s.id for s in video.segments] == list(range(1, len(segments) + 1))
    assert [s[1:3] for s in video.segments] == [s[:2] for s in segments]
    assert [s.score for s in video.segments] == pytest.approx([s[2] for s in segments], rel=1e-5)
    np.testing.assert_array_equal(np.stack(list(video.frames())), owner)


def painted(*columns, height=4):
    """Return logits (Q, 1, H, W) whose columns are won by the given queries."""
    logits = torch.full((3, 1, height, len(columns)), -20.0)
    for x, queries in enumerate(columns):
        for query in queries:
            logits[query, 0, :, x] = 20.0
    return logits


def merge_columns(columns, labels, scores, **thresholds):
    """Merge tubes of full columns; each query has the given label and class score."""
    class_logits = torch.zeros(3, 4)
    for q, (label, score) in enumerate(zip(labels, scores, strict=True)):
        class_logits[q] = torch.tensor((1 - score) / 3).log()
        class_logits[q, label] = torch.tensor(score).log()
    logits = painted(*columns)
    size = tuple(logits.shape[-2:])
    video = merge_panoptic(
        class_logits,
        lambda _: iter([logits]),
        ImageShapes(size, size, size),
        {0, 1},
        PanopticThresholds(**thresholds),
    )
    return video, next(video.frames())[0].tolist()


def test_better_tubes_own_shared_pixels():
    video, row = merge_columns(
        [{0}, {0}, {0, 1}, {1}, {1}, {1}, {1}, {1}], [0, 1, 1], [0.6, 0.9, 0.5]
    )
    assert [(s.label, s.is_thing) for s in video.segments] == [(1, True)]
    assert row == [0, 0, 1, 1, 1, 1, 1, 1]
    video, row = merge_columns(
        [{0}, {0}, {0, 1}, {1}, {1}, {1}, {1}, {1}], [0, 1, 1], [0.6, 0.9, 0.5], overlap=0.6
    )
    assert [s.label for s in video.segments] == [1, 0]
    assert row == [2, 2, 1, 1, 1, 1, 1, 1]


def test_stuff_of_one_class_is_merged_and_things_are_not():
    columns = [{0}, {0}, {1}, {1}, {2}, {2}]
    video, row = merge_columns(columns, [2, 0, 2], [0.9, 0.8, 0.7])
    assert [(s.label, s.is_thing) for s in video.segments] == [(2, False), (0, True)]
    assert row == [1, 1, 2, 2, 1, 1]
    video, row = merge_columns(columns, [0, 0, 0], [0.9, 0.8, 0.7])
    assert row == [1, 1, 2, 2, 3, 3]
    assert [s.score for s in video.segments] == pytest.approx([0.9, 0.8, 0.7])


def test_class_thresholds_of_things_and_stuff():
    columns = [{0}, {1}, {2}]
    video, row = merge_columns(columns, [0, 2, 2], [0.5, 0.5, 0.7], thing=0.4, stuff=0.6)
    assert [s.label for s in video.segments] == [2, 0]
    assert row == [2, 0, 1]


def test_no_segments_give_void():
    video, row = merge_columns([{0}, {1}], [0, 1, 1], [0.5, 0.5, 0.5], thing=0.95)
    assert video.segments == []
    assert row == [0, 0]
