"""Tests of result types: in a notebook they show shapes, not numbers."""

import numpy as np
import torch

from axialvs.structures import ClipPrediction, ClipResult, Track


def clip_of(masks: np.ndarray) -> ClipResult:
    """Return a clip of two frames with one track of these masks (T, H, W)."""
    return ClipResult(
        frame_indices=[3, 4],
        timestamps=[0.3, 0.4],
        ids=np.array([1]),
        labels=np.array([0]),
        scores=np.array([0.5]),
        masks=masks[None],
        images=[np.zeros((*masks.shape[1:], 3), np.uint8)] * 2,
        is_thing=np.array([True]),
    )


def test_boxes_bound_the_masks():
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 10:20, 30:31] = masks[0, 12, 40] = True
    boxes = clip_of(masks).boxes
    assert boxes.shape == (1, 2, 4)
    assert boxes[0, 0].tolist() == [30, 10, 41, 20]
    assert np.isnan(boxes[0, 1]).all()


def test_reprs_show_shapes():
    prediction = ClipPrediction(torch.rand(7, 6), torch.rand(7, 3, 24, 40), torch.rand(7, 32))
    assert repr(prediction).startswith(
        'ClipPrediction(class_logits=(7, 6) float32, mask_logits=(7, 3, 24, 40) float32'
    )
    clip = clip_of(np.ones((2, 48, 64), bool))
    assert 'masks=(1, 2, 48, 64) bool, images=[(48, 64, 3) uint8, (48, 64, 3) uint8]' in repr(clip)
    assert 'frame_indices=[3, 4]' in repr(clip)
    rle = {'size': [48, 64], 'counts': 'x' * 1000}
    track = repr(Track(1, 0, 0.51234567, [rle] * 500))
    assert 'segmentations=[RLE of [48, 64], ... 500 in all]' in track
    assert 'score=0.5123,' in track
