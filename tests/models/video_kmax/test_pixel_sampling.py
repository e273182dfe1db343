"""Sampling of pixels: fractions per segment, void last, and bilinear gathering."""

import pytest
import torch
import torch.nn.functional as F

from axialvs.models.video_kmax.pixel_sampling import gather_pixels, sample_pixels


def test_small_segments_are_favored():
    torch.manual_seed(0)
    segments = torch.tensor([0] * 900 + [1] * 100)
    areas = torch.tensor([900, 100])
    counts = torch.zeros(3)
    for exponent in range(3):
        draws = torch.cat([sample_pixels(segments, areas, 1, exponent) for _ in range(1000)])
        counts[exponent] = (segments[draws] == 1).sum() / len(draws)
    expected = torch.tensor([0.1, 0.5, 0.9])  # 1 / (1 + 9 ** (1 - exponent))
    torch.testing.assert_close(counts, expected, atol=0.05, rtol=0)


def test_void_is_sampled_last():
    segments = torch.tensor([-1, 0, -1, 1, 0])
    pixels = sample_pixels(segments, torch.tensor([2, 1]), 3, 1.8)
    assert sorted(pixels.tolist()) == [1, 3, 4]
    assert len(set(sample_pixels(segments, torch.tensor([2, 1]), 4, 1.8).tolist())) == 4


def test_at_most_all_pixels_are_sampled():
    segments = torch.full((6,), -1)
    pixels = sample_pixels(segments, torch.zeros(0), 100, 1.8)
    assert sorted(pixels.tolist()) == list(range(6))


@pytest.mark.parametrize('size', [(9, 13), (8, 12), (5, 7), (10, 7), (1, 1)])
def test_gathered_features_match_the_resized_map(size):
    features = torch.randn(3, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    aligned = size[1] % 2 == 1
    resized = F.interpolate(features, size, mode='bilinear', align_corners=aligned).flatten(1)
    indices = torch.randperm(resized.shape[1])
    torch.testing.assert_close(gather_pixels(features, indices, size), resized[:, indices].T)
