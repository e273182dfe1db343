"""The published protocol clip by clip matches a computation with the full video in memory."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask

from axialvs.postprocess.finisher import FrameShapeError
from axialvs.postprocess.instances import InstanceFinisher, select_pairs
from axialvs.structures import ClipPrediction, ImageShapes
from axialvs.tracking.near_online import NearOnlineVideo
from axialvs.tracking.tensor_store import TensorStore

QUERIES, CLASSES, FRAMES = 6, 3, 7
SHAPES = ImageShapes(batch_input_shape=(32, 64), img_shape=(30, 53), ori_shape=(45, 80))


@pytest.fixture
def video():
    """Return class logits (Q, N + 1) and mask logits (Q, L, H, W): query 2 has no mask at all,
    query 4 none in the first frames."""
    rng = torch.Generator().manual_seed(0)
    class_logits = torch.randn(QUERIES, CLASSES + 1, generator=rng)
    coarse = torch.randn(QUERIES * FRAMES, 1, 3, 5, generator=rng)
    masks = F.interpolate(coarse, (8, 16), mode='bicubic').view(QUERIES, FRAMES, 8, 16)
    masks[2] = -5
    masks[4, :4] = -5
    return class_logits, masks


def all_at_once(class_logits, mask_logits, max_tracks, max_masks_per_frame):
    """Return (label, score, RLEs or None per frame) of tracks from full tensors, as the release."""
    probabilities, pairs = class_logits.softmax(-1)[:, :-1].flatten().topk(max_tracks)
    queries, labels = pairs // CLASSES, pairs % CLASSES
    logits = F.interpolate(
        mask_logits, SHAPES.batch_input_shape, mode='bilinear', align_corners=False
    )
    logits = logits[..., : SHAPES.img_shape[0], : SHAPES.img_shape[1]]
    logits = F.interpolate(logits, SHAPES.ori_shape, mode='bilinear', align_corners=False)[queries]
    inside = logits > 0
    scores = torch.zeros(max_tracks, FRAMES)
    for n, t in torch.nonzero(inside.flatten(2).any(-1)).tolist():
        scores[n, t] = probabilities[n] * logits[n, t][inside[n, t]].sigmoid().mean()
    counts = inside.flatten(2).any(-1)
    if max_masks_per_frame is not None:
        counts = torch.zeros_like(counts)
        for t in range(FRAMES):
            counts[scores[:, t].argsort(descending=True, stable=True)[:max_masks_per_frame], t] = 1
    tracks = []
    for n in range(max_tracks):
        kept = [t for t in range(FRAMES) if counts[n, t]]
        total = torch.zeros(())
        for t in kept:
            total += scores[n, t]
        codes = [None] * FRAMES
        for t in kept:
            if inside[n, t].any():
                codes[t] = coco_mask.encode(np.asfortranarray(inside[n, t].numpy(), np.uint8))
                codes[t]['counts'] = codes[t]['counts'].decode()
        if any(codes):
            tracks.append((int(labels[n]), float(total / max(len(kept), 1)), codes))
    return tracks


def streamed(class_logits, mask_logits, clip_lengths, memory_limit=2**20, **settings):
    store = TensorStore(memory_limit)
    for clip in mask_logits.split(clip_lengths, dim=1):
        store.append(clip)
    tracks = InstanceFinisher(**settings).finish(class_logits, store.read, SHAPES)
    store.close()
    assert [track.id for track in tracks] == list(range(1, len(tracks) + 1))
    return [(track.label, track.score, track.segmentations) for track in tracks]


@pytest.mark.parametrize('memory_limit', [2**20, 100], ids=['memory', 'file'])
@pytest.mark.parametrize('clip_lengths', [[3, 3, 1], [1] * 7])
@pytest.mark.parametrize('max_masks_per_frame', [None, 4])
def test_matches_all_at_once_exactly(video, max_masks_per_frame, clip_lengths, memory_limit):
    settings = dict(max_tracks=10, max_masks_per_frame=max_masks_per_frame)
    in_one_piece = streamed(*video, [FRAMES], **settings)
    assert streamed(*video, clip_lengths, memory_limit=memory_limit, **settings) == in_one_piece


@pytest.mark.parametrize('max_masks_per_frame', [None, 4])
def test_matches_the_release_on_full_tensors(video, max_masks_per_frame):
    settings = dict(max_tracks=10, max_masks_per_frame=max_masks_per_frame)
    expected = all_at_once(*video, **settings)
    assert any(None in codes for *_, codes in expected)
    ours = streamed(*video, [FRAMES], **settings)
    assert [(label, codes) for label, _, codes in ours] == [(x[0], x[2]) for x in expected]
    assert [score for _, score, _ in ours] == pytest.approx([x[1] for x in expected], rel=1e-5)


def test_a_query_with_two_classes_has_one_set_of_masks(video):
    tracks = streamed(*video, [3, 4], max_tracks=QUERIES * CLASSES)
    queries = [x for x in select_pairs(video[0], QUERIES * CLASSES).queries.tolist() if x != 2]
    by_query = {}
    for query, (label, _, codes) in zip(queries, tracks, strict=True):
        by_query.setdefault(query, []).append((label, codes))
    assert len(by_query) == QUERIES - 1
    for entries in by_query.values():
        assert sorted(label for label, _ in entries) == list(range(CLASSES))
        assert all(codes == entries[0][1] for _, codes in entries)


def test_frames_without_a_mask_are_ignored(video):
    """Values by hand: one class, constant logits inside the mask."""
    masks = torch.full((1, 4, 8, 16), -1.0)
    masks[0, 1] = 2.0
    masks[0, 3, :4] = 1.0
    class_logits = torch.tensor([[1.0, 0.0]])
    probability = class_logits.softmax(-1)[0, 0]
    (track,) = InstanceFinisher().finish(
        class_logits, lambda queries: iter([masks[queries]]), ImageShapes((8, 16), (8, 16), (8, 16))
    )
    quality = (torch.tensor([2.0, 1.0]).sigmoid()).mean()
    assert track.score == pytest.approx(float(probability * quality), rel=1e-6)
    assert [code is None for code in track.segmentations] == [True, False, True, False]
    assert coco_mask.area(track.segmentations[3]) == 64


@pytest.mark.parametrize('max_masks_per_frame', [None, 1])
def test_tracks_without_any_mask_are_omitted(video, max_masks_per_frame):
    """With one mask per frame most pairs lose all their pixels."""
    settings = dict(max_tracks=QUERIES * CLASSES, max_masks_per_frame=max_masks_per_frame)
    tracks = streamed(*video, [7], **settings)
    assert 0 < len(tracks) <= (QUERIES - 1) * CLASSES
    assert all(any(codes) for *_, codes in tracks)


def test_frames_of_a_video_must_have_one_size(video):
    class_logits, masks = video
    clips = [
        ClipPrediction(class_logits, masks[:, t], torch.eye(QUERIES))
        for t in (slice(3), slice(3, 7))
    ]
    collected = NearOnlineVideo(InstanceFinisher())
    collected.add(clips[0], SHAPES, 3)
    with pytest.raises(FrameShapeError, match=r'53.*before, .*54'):
        collected.add(clips[1], SHAPES._replace(img_shape=(30, 54)), 4)


def test_best_pairs_of_query_and_class():
    logits = torch.tensor([[0.0, 3.0, 0.0], [2.0, 0.0, 9.0], [2.0, 2.5, 0.0]])
    pairs = select_pairs(logits, 3)
    assert pairs.queries.tolist() == [0, 2, 2]
    assert pairs.labels.tolist() == [1, 1, 0]
    expected = logits.softmax(-1)
    assert pairs.probabilities.tolist() == pytest.approx(
        [expected[0, 1].item(), expected[2, 1].item(), expected[2, 0].item()]
    )
    assert len(select_pairs(logits, 100).queries) == 6
