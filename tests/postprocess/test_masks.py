"""Mask resizing compared with bilinear weights by hand."""

import numpy as np
import pytest
import torch

from axialvs.postprocess.masks import resize_mask_logits
from axialvs.structures import ImageShapes


def bilinear_matrix(target: int, source: int, align_corners: bool) -> np.ndarray:
    """Return weights (target, source) that mix the two source cells nearest to each output."""
    matrix = np.zeros((target, source))
    for row in range(target):
        if align_corners:  # the centers of the first cells coincide, as do those of the last
            center = row * (source - 1) / (target - 1)
        else:
            center = max((row + 0.5) * source / target - 0.5, 0)
        low = min(int(center), source - 1)
        high = min(low + 1, source - 1)
        matrix[row, low] += 1 - (center - low)
        matrix[row, high] += center - low
    return matrix


def resize(maps: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    y, x = (
        bilinear_matrix(target, source, align_corners)
        for target, source in zip(size, maps.shape[-2:], strict=True)
    )
    return y @ maps @ x.T


@pytest.mark.parametrize(
    'shapes',
    [
        ImageShapes((64, 96), (64, 96), (64, 96)),  # original size
        ImageShapes((64, 96), (50, 81), (50, 81)),  # padded only
        ImageShapes((64, 96), (54, 96), (121, 215)),  # resized down and padded, back to an odd size
        ImageShapes((32, 64), (32, 60), (17, 31)),  # resized up
        ImageShapes((65, 97), (54, 97), (121, 215), align_corners=True),
    ],
)
def test_logits_are_resized_via_the_padded_size(shapes):
    logits = np.random.default_rng(0).normal(
        size=(3, 2, shapes.batch_input_shape[0] // 4, shapes.batch_input_shape[1] // 4)
    )
    height, width = shapes.img_shape
    expected = resize(logits, shapes.batch_input_shape, shapes.align_corners)[..., :height, :width]
    expected = resize(expected, shapes.ori_shape, shapes.align_corners)
    out = resize_mask_logits(torch.from_numpy(logits), shapes)
    assert out.shape == (3, 2, *shapes.ori_shape)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_resizing_no_masks():
    shapes = ImageShapes((64, 96), (64, 96), (30, 40))
    assert resize_mask_logits(torch.zeros(0, 2, 16, 24), shapes).shape == (0, 2, 30, 40)
