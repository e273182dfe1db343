"""Masks finished in part against the same masks finished whole."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask

from axialvs.postprocess.masks import encode_part, finish_masks, mask_quality, resize_mask_logits
from axialvs.structures import ImageShapes

GEOMETRIES = [
    ImageShapes((64, 96), (64, 96), (64, 96)),  # as it came
    ImageShapes((64, 96), (50, 81), (50, 81)),  # padded only
    ImageShapes((64, 96), (54, 96), (121, 215)),  # resized down and padded, back to an odd size
    ImageShapes((32, 64), (32, 60), (17, 31)),  # resized up
    ImageShapes((64, 96), (33, 33), (33, 33)),  # much padding
    ImageShapes((65, 97), (54, 97), (121, 215), align_corners=True),
]


def coco_code(mask: np.ndarray) -> dict | None:
    """The reference: pycocotools on the whole frame."""
    code = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {**code, 'counts': code['counts'].decode()} if mask.any() else None


def blobs(geometry: ImageShapes) -> torch.Tensor:
    """(n, H, W) logits: random blobs, an empty mask, a full one, one in the padding, one pixel."""
    height, width = geometry.padded[0] // 4, geometry.padded[1] // 4
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randn(20, 1, 4, 4, generator=rng) - 1
    random = F.interpolate(coarse, (height, width), mode='bicubic').squeeze(1)
    special = torch.full((4, height, width), -3.0)
    special[1] = 2.0
    special[2, -1, -1] = 1.5
    special[3, height // 2, 1] = 9.0
    return torch.cat((random, special))


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_part_by_part_is_the_whole(geometry):
    logits = blobs(geometry)
    whole = resize_mask_logits(logits.unsqueeze(1), geometry).squeeze(1)
    finished = finish_masks(logits, geometry)
    assert finished.codes == [coco_code(mask) for mask in (whole > 0).numpy()]
    assert 0 < sum(code is None for code in finished.codes) < len(logits)
    torch.testing.assert_close(finished.quality, mask_quality(whole), rtol=0, atol=1e-5)


def test_low_precision_logits_are_taken():
    logits = blobs(GEOMETRIES[2]).bfloat16()
    assert (
        finish_masks(logits, GEOMETRIES[2]).codes
        == finish_masks(logits.float(), GEOMETRIES[2]).codes
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
def test_run_length_code_of_a_part(part, top, left):
    frame = np.zeros((5, 7), bool)
    frame[top : top + part.shape[0], left : left + part.shape[1]] = part
    code = encode_part(part, top, left, frame.shape)
    np.testing.assert_array_equal(coco_mask.decode(code), frame)
    assert code == coco_code(frame)


def test_nothing_has_no_code():
    assert encode_part(np.zeros((2, 3), bool), 1, 1, (5, 7)) is None
    assert encode_part(np.zeros((0, 0), bool), 0, 0, (5, 7)) is None
    finished = finish_masks(torch.zeros(0, 16, 24), GEOMETRIES[0])
    assert finished.codes == []
    assert finished.quality.shape == (0,)
