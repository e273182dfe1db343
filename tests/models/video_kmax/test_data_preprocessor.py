"""Tests of padding to a fixed size."""

import pytest
import torch
from mmdet.registry import MODELS

from axialvs.utils.errors import AxialVSError


def build(mean=(10.0, 20.0, 30.0)):
    return MODELS.build(
        dict(
            type='FixedSizeTrackDataPreprocessor',
            mean=list(mean),
            std=[2.0, 4.0, 8.0],
            bgr_to_rgb=True,
            pad_size=(9, 13),
        )
    )


def test_frames_are_normalized_and_padding_is_zero():
    clip = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    out = build()({'inputs': [clip], 'data_samples': None})['inputs']
    assert out.shape == (1, 2, 3, 9, 13)
    rgb = clip.flip(1).float()
    expected = (rgb - torch.tensor([10.0, 20, 30]).view(3, 1, 1)) / torch.tensor([2.0, 4, 8]).view(
        3, 1, 1
    )
    assert torch.equal(out[0, ..., :5, :7], expected)
    assert not out[..., 5:, :].any()
    assert not out[..., 7:].any()


def test_frames_larger_than_the_padded_size_raise():
    with pytest.raises(AxialVSError, match='10x4'):
        build()({'inputs': [torch.zeros(1, 3, 10, 4)], 'data_samples': None})
