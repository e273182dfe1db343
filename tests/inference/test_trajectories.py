"""Tests of a point's attention: equation, shapes, and where shipped weights attend."""

import numpy as np
import pytest
import torch

from axialvs.apis import init_segmenter
from axialvs.datasets.moving_shapes import generate_video
from axialvs.functional.trajectory_attention import TrajectorySpec, spatial_attention
from axialvs.inference.trajectories import Call, ClipAttention, spatial_weights
from axialvs.layers.trajectory_attention import TrajectoryAttention
from axialvs.utils.errors import AxialVSError
from axialvs.visualization.trajectory_sheet import Point, heat_frames, trajectory_sheet
from tiny_segmenter import PLAIN, tiny_segmenter

CLIP_LENGTH, SIZE = 3, (96, 160)


def random_images(num_frames=CLIP_LENGTH, size=SIZE):
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 255, (num_frames, *size, 3), np.uint8))


def test_weights_match_the_attention():
    """Weighted values are the trajectory tokens of Eq. 2."""
    torch.manual_seed(0)
    attention = TrajectoryAttention(8, num_heads=2).double()
    tokens = torch.randn(4, 3 * 5, 8, dtype=torch.float64)
    call, line, frame, position = Call(attention, tokens, 3), 2, 1, 4
    value = attention.v(tokens)
    expected = spatial_attention(
        attention.q(tokens), attention.k(tokens), value, TrajectorySpec(3, 2, attention.scale, 0.0)
    )[line, frame * 5 + position]
    weights = spatial_weights(call, line, frame, position).double()  # h, T, n
    by_head = value[line].unflatten(0, (3, 5)).unflatten(-1, (2, 4))  # T, n, h, d
    tokens_of_point = torch.einsum('htn,tnhd->thd', weights, by_head).flatten(1)
    torch.testing.assert_close(tokens_of_point, expected, atol=1e-6, rtol=1e-6)


def test_distribution_per_frame_layer_and_resolution():
    model = tiny_segmenter()
    images = random_images()
    attention = ClipAttention(model, images)
    found = attention.trajectories(1, (159, 95))
    head = model.panoptic_head.pixel_decoder
    assert len(found) == len(head.encoder.layers) * head.num_temporal_levels
    for trajectory in found:
        assert trajectory.layer in dict(model.named_modules())
        heat = trajectory.heat()
        assert heat.shape[0] == CLIP_LENGTH
        torch.testing.assert_close(heat.sum((1, 2)), torch.ones(CLIP_LENGTH))
        large = trajectory.resized(SIZE)
        assert large.shape == (CLIP_LENGTH, *SIZE)
        torch.testing.assert_close(large.sum((1, 2)), torch.ones(CLIP_LENGTH))
        heads = [trajectory.head(i).heat() for i in range(len(trajectory.height))]
        torch.testing.assert_close(torch.stack(heads).mean(0), heat)
    other = attention.trajectories(1, (3, 3))
    assert not torch.equal(other[-1].heat(), found[-1].heat())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ('frame', 'point'), [(0, (160, 5)), (0, (5, 96)), (3, (5, 5)), (0, (-1, 5))]
)
def test_point_outside_the_clip(frame, point):
    with pytest.raises(AxialVSError, match='160x96'):
        ClipAttention(tiny_segmenter(), random_images()).trajectories(frame, point)


def test_model_without_trajectory_attention():
    with pytest.raises(AxialVSError, match='axialvs-wc'):
        ClipAttention(tiny_segmenter(PLAIN), random_images())


def test_shipped_weights_follow_moving_objects():
    """Compare the last layer's density on the object two frames later and at its old position."""
    model = init_segmenter(checkpoint='axialvs-wc_tiny_movingshapes', device='cpu')
    densities = []
    for number in range(10):
        video = generate_video('demo', 77, number)
        for start in (0, 5):
            attention = ClipAttention(model, list(video.frames[start : start + 9 : 4]))
            for masks in video.masks:
                before, after = masks[start], masks[start + 8]
                area = min(before.sum(), after.sum())
                if area < 40 or (before & after).sum() > 0.5 * area:
                    continue
                rows, columns = np.nonzero(before)
                point = float(columns[len(rows) // 2]), float(rows[len(rows) // 2])
                trajectory = attention.trajectories(0, point)[-1]
                heat = trajectory.resized(before.shape)[-1].numpy() * before.size
                densities.append((heat[after & ~before].mean(), heat[before & ~after].mean()))
    new, old = np.array(densities).T
    assert len(new) > 30
    assert new.mean() > old.mean()
    assert (new > old).mean() > 0.5


def test_heat_map_is_drawn_at_the_attention():
    images = [np.full((48, 64, 3), 100, np.uint8)] * 2
    heat = np.zeros((2, 6, 8))
    heat[1, 5, 7] = 1
    first, second = heat_frames(images, heat, Point(0, 10, 10))
    assert (second[:32, :48] == 100).all()
    assert (second[-4:, -4:] != 100).any()
    assert (first[8:12, 8:12] != 100).any()  # the point
    assert (first[32:, 32:] == 100).all()
    sheet = trajectory_sheet(
        images, heat.sum(2), heat.sum(1), heat, Point(0, 10, 10), 'title', ['0', '1'], 96
    )
    assert sheet.shape[1] == 2 * 128 + 4 + 8
    assert sheet.dtype == np.uint8
