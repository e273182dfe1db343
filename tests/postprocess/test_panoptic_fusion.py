"""Fusion of tubes compared with Mask2Former on stacked frames, and thresholds by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead

from axialvs.postprocess.panoptic_fusion import FusionThresholds, fuse_panoptic
from axialvs.structures import ImageShapes

NUM_THINGS, NUM_STUFF = 3, 2
VOID_OF_MMDET, INSTANCE_OFFSET = NUM_THINGS + NUM_STUFF, 1000


def fused_by_mmdet(class_logits, mask_logits, shapes, thresholds):
    """Return mmdet's ids of the frames (L, H, W), fused as one tall image."""
    height, width = shapes.img_shape
    logits = F.interpolate(mask_logits, shapes.batch_input_shape, mode='bilinear')
    logits = F.interpolate(logits[..., :height, :width], shapes.ori_shape, mode='bilinear')
    head = MaskFormerFusionHead(
        NUM_THINGS,
        NUM_STUFF,
        test_cfg=dict(
            object_mask_thr=thresholds.score, iou_thr=thresholds.overlap, filter_low_score=True
        ),
    )
    fused = head.panoptic_postprocess(class_logits, logits.flatten(1, 2)).sem_seg[0]
    return fused.unflatten(0, (-1, shapes.ori_shape[0])).numpy()


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('thresholds', [FusionThresholds(0.7, 0.4), FusionThresholds(0.4, 0.1)])
@pytest.mark.parametrize(
    'shapes',
    [
        ImageShapes((32, 48), (32, 48), (32, 48)),
        ImageShapes((32, 64), (30, 53), (45, 80)),
    ],
)
def test_matches_mmdet(shapes, thresholds, seed):
    rng = torch.Generator().manual_seed(seed)
    size = tuple(x // 4 for x in shapes.batch_input_shape)
    coarse = torch.randn(1, 12, 3, 4, 5, generator=rng)
    mask_logits = 6 * F.interpolate(coarse, (5, *size), mode='trilinear')[0]
    class_logits = 3 * torch.randn(12, NUM_THINGS + NUM_STUFF + 1, generator=rng)
    video = fuse_panoptic(
        class_logits,
        lambda queries: (clip[queries] for clip in mask_logits.split(2, dim=1)),
        shapes,
        range(NUM_THINGS),
        thresholds,
    )
    found = np.stack(list(video.frames()))
    expected = fused_by_mmdet(class_logits, mask_logits, shapes, thresholds)
    assert found.shape == expected.shape == (5, *shapes.ori_shape)
    pairs = np.unique(np.stack((found.ravel(), expected.ravel())), axis=1, return_counts=True)
    (ours, theirs), counts = pairs
    strays = counts < 3  # pixels exactly on a threshold, subject to rounding
    assert counts[strays].sum() <= 1e-4 * found.size
    one_to_one = dict(zip(ours[~strays].tolist(), theirs[~strays].tolist(), strict=True))
    assert len(one_to_one) == len(set(one_to_one.values())) == (~strays).sum()
    assert one_to_one.get(0, VOID_OF_MMDET) == VOID_OF_MMDET
    assert len(video.segments) >= 1
    for segment in video.segments:
        theirs = one_to_one[segment.id]
        assert theirs % INSTANCE_OFFSET == segment.label
        assert (theirs >= INSTANCE_OFFSET) == segment.is_thing == (segment.label < NUM_THINGS)
    assert [x.score for x in video.segments] == sorted(
        (x.score for x in video.segments), reverse=True
    )


def fuse_rows(mask_logits, scores, thresholds):
    """Fuse queries of thing 0 with these class scores; logits (Q, W) of a frame of one row."""
    class_logits = torch.zeros(len(scores), 2)
    class_logits[:, 0] = torch.tensor(scores).logit()
    logits = torch.tensor(mask_logits).view(len(scores), 1, 1, -1)
    size = tuple(logits.shape[-2:])
    shapes = ImageShapes(size, size, size)
    video = fuse_panoptic(
        class_logits, lambda queries: iter([logits[queries]]), shapes, [0], thresholds
    )
    return video.segments, next(video.frames())[0].tolist()


def test_query_below_the_score_threshold_is_ignored():
    rows = [[4.0, 4.0, 4.0, -4.0], [9.0, 9.0, 9.0, 9.0]]
    segments, row = fuse_rows(rows, [0.9, 0.7], FusionThresholds())
    assert [segment.query for segment in segments] == [0]
    assert row == [1, 1, 1, 0]
    assert segments[0].score == pytest.approx(0.9 * torch.tensor(4.0).sigmoid().item())


def test_mostly_covered_tube_is_dropped_and_leaves_void():
    rows = [[4.0, 4.0, 4.0, 4.0], [9.0, 9.0, -9.0, -9.0]]
    segments, row = fuse_rows(rows, [0.9, 0.95], FusionThresholds(overlap=0.8))
    assert [segment.query for segment in segments] == [1]
    assert row == [1, 1, 0, 0]
    segments, row = fuse_rows(rows, [0.9, 0.95], FusionThresholds(overlap=0.5))
    assert sorted(row) == [1, 1, 2, 2]


def test_pixels_without_a_mask_are_void():
    assert fuse_rows([[3.0, -0.1]], [0.9], FusionThresholds())[1] == [1, 0]


def test_no_confident_query():
    segments, row = fuse_rows([[3.0, 3.0]], [0.5], FusionThresholds())
    assert segments == []
    assert row == [0, 0]
