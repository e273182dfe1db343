"""Masks postprocessed in crops match those postprocessed as full frames."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask

from axialvs.postprocess.masks import postprocess_masks, resize_mask_logits
from axialvs.structures import ImageShapes
from axialvs.utils.rle import encode_crop

GEOMETRIES = [
    ImageShapes((64, 96), (64, 96), (64, 96)),  # original size
    ImageShapes((64, 96), (50, 81), (50, 81)),  # padded only
    ImageShapes((64, 96), (54, 96), (121, 215)),  # resized down and padded, back to an odd size
    ImageShapes((32, 64), (32, 60), (17, 31)),  # resized up
    ImageShapes((64, 96), (33, 33), (33, 33)),  # much padding
    ImageShapes((65, 97), (54, 97), (121, 215), align_corners=True),
]


def coco_code(mask: np.ndarray) -> dict | None:
    """Encode the full frame with pycocotools as reference."""
    code = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {**code, 'counts': code['counts'].decode()} if mask.any() else None


def blobs(shapes: ImageShapes) -> torch.Tensor:
    """Return logits (n, H, W): random blobs, an empty, a full, a padding-only, a one-pixel mask."""
    height, width = shapes.batch_input_shape[0] // 4, shapes.batch_input_shape[1] // 4
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randn(20, 1, 4, 4, generator=rng) - 1
    random = F.interpolate(coarse, (height, width), mode='bicubic').squeeze(1)
    special = torch.full((4, height, width), -3.0)
    special[1] = 2.0
    special[2, -1, -1] = 1.5
    special[3, height // 2, 1] = 9.0
    return torch.cat((random, special))


def mean_probability(logits: torch.Tensor) -> torch.Tensor:
    """Return the mean probability inside each mask (n, H, W), 0 for empty masks."""
    inside = logits > 0
    total = (logits.sigmoid() * inside).sum((1, 2))
    return total / inside.sum((1, 2)).clamp(min=1)


@pytest.mark.parametrize('shapes', GEOMETRIES)
def test_crops_match_full_frames(shapes):
    logits = blobs(shapes)
    whole = resize_mask_logits(logits.unsqueeze(1), shapes).squeeze(1)
    finished = postprocess_masks(logits, shapes)
    assert finished.rles == [coco_code(mask) for mask in (whole > 0).numpy()]
    assert 0 < sum(code is None for code in finished.rles) < len(logits)
    torch.testing.assert_close(finished.scores, mean_probability(whole), rtol=0, atol=1e-5)


def test_logit_of_zero_is_outside():
    finished = postprocess_masks(torch.zeros(1, 16, 24), GEOMETRIES[0])
    assert finished.rles == [None]
    assert finished.scores.tolist() == [0]


def test_low_precision_logits_are_accepted():
    logits = blobs(GEOMETRIES[2]).bfloat16()
    assert (
        postprocess_masks(logits, GEOMETRIES[2]).rles
        == postprocess_masks(logits.float(), GEOMETRIES[2]).rles
    )


@pytest.mark.parametrize(
    ('part', 'top', 'left'),
    [
        (np.ones((5, 7), bool), 0, 0),  # all of the frame: its columns are one run
        (np.ones((5, 2), bool), 0, 3),
        (np.ones((1, 7), bool), 4, 0),
        (np.eye(3, dtype=bool), 2, 4),
        (np.random.default_rng(0).random((5, 7)) > 0.3, 0, 0),
        (np.random.default_rng(1).random((4, 3)) > 0.6, 1, 2),
    ],
)
def test_encode_crop(part, top, left):
    frame = np.zeros((5, 7), bool)
    frame[top : top + part.shape[0], left : left + part.shape[1]] = part
    code = encode_crop(part, top, left, frame.shape)
    np.testing.assert_array_equal(coco_mask.decode(code), frame)
    assert code == coco_code(frame)


def test_empty_masks_have_no_code():
    assert encode_crop(np.zeros((2, 3), bool), 1, 1, (5, 7)) is None
    assert encode_crop(np.zeros((0, 0), bool), 0, 0, (5, 7)) is None
    finished = postprocess_masks(torch.zeros(0, 16, 24), GEOMETRIES[0])
    assert finished.rles == []
    assert finished.scores.shape == (0,)
