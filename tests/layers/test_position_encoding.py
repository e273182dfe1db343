"""Cached position encodings: values, least recently used sizes, nothing in checkpoints."""

import math

import pytest
import torch
from mmdet.models.layers.positional_encoding import (
    SinePositionalEncoding,
    SinePositionalEncoding3D,
)

from axialvs.layers.position_encoding import CachedPositionEncoding

CPU = torch.device('cpu')


def encoding_by_hand(position: tuple, size: tuple, num_feats: int) -> list[float]:
    """Compute one cell of the 3D encoding: y and x concatenated, plus z at twice the width."""

    def waves(index: int, length: int, width: int) -> list[float]:
        angle = (index + 1) / (length + 1e-6) * 2 * math.pi
        angles = [angle / 10000 ** (2 * (k // 2) / width) for k in range(width)]
        return [math.cos(a) if k % 2 else math.sin(a) for k, a in enumerate(angles)]

    (t, y, x), (frames, height, width) = position, size
    plane = waves(y, height, num_feats) + waves(x, width, num_feats)
    return [a + b for a, b in zip(plane, waves(t, frames, 2 * num_feats), strict=True)]


def test_values():
    encoding = CachedPositionEncoding(SinePositionalEncoding3D(num_feats=4, normalize=True))
    encoded = encoding((2, 3, 5), CPU)
    assert encoded.shape == (1, 2, 3, 5, 8)
    for position in ((0, 0, 0), (1, 2, 4), (0, 1, 3)):
        expected = encoding_by_hand(position, (2, 3, 5), 4)
        assert encoded[(0, *position)].tolist() == pytest.approx(expected, abs=1e-5)


def test_channels_are_last():
    plain = SinePositionalEncoding(num_feats=4, normalize=True)
    encoded = CachedPositionEncoding(plain)((3, 5), CPU)
    expected = plain(torch.zeros(1, 3, 5, dtype=torch.bool)).permute(0, 2, 3, 1)
    assert torch.equal(encoded, expected)


def test_least_recently_used_size_is_evicted():
    plain = SinePositionalEncoding(num_feats=4, normalize=True)
    encoding = CachedPositionEncoding(plain, num_kept=2)
    first, second = encoding((3, 5), CPU), encoding((5, 3), CPU)
    assert encoding((3, 5), CPU) is first  # now the most recently used
    encoding((4, 4), CPU)
    assert encoding((3, 5), CPU) is first
    again = encoding((5, 3), CPU)
    assert again is not second
    assert torch.equal(again, second)


def test_state_dict_is_empty():
    encoding = CachedPositionEncoding(SinePositionalEncoding(num_feats=4))
    encoding((3, 5), CPU)
    assert not encoding.state_dict()
