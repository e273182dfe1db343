"""The forms of deformable sampling against one another, against mmcv's and by hand."""

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

import axialvs.functional.deformable_sampling as module
from axialvs.functional.deformable_sampling import (
    choose_backend,
    deformable_sampling,
    sample_with_embedding_bag,
    sample_with_grid,
)

SHAPES = ((2, 3), (4, 6), (7, 5))
NUM_VALUES = sum(h * w for h, w in SHAPES)
FORMS = [sample_with_grid, sample_with_embedding_bag]


def random_case(seed=0, batch=2, heads=2, channels=4, queries=9, points=3, dtype=torch.float64):
    """Values, locations (a third of them outside of the maps) and weights that sum to one."""
    rng = torch.Generator().manual_seed(seed)
    size = (batch, queries, heads, len(SHAPES), points)
    value = torch.randn(batch, NUM_VALUES, heads, channels, generator=rng, dtype=dtype)
    locations = torch.rand(*size, 2, generator=rng, dtype=dtype) * 1.6 - 0.3
    weights = torch.rand(*size, generator=rng, dtype=dtype).flatten(-2).softmax(-1).view(size)
    return value, locations, weights


def mmcv_sampling(value, shapes, locations, weights):
    return multi_scale_deformable_attn_pytorch(value, torch.tensor(shapes), locations, weights)


@pytest.mark.parametrize('form', [*FORMS, deformable_sampling])
def test_agrees_with_mmcv(form):
    value, locations, weights = random_case()
    assert ((locations < 0) | (locations > 1)).float().mean() > 0.2
    expected = mmcv_sampling(value, SHAPES, locations, weights)
    torch.testing.assert_close(
        form(value, SHAPES, locations, weights), expected, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize('form', FORMS)
def test_gradients_agree_with_mmcv(form):
    inputs = [x.requires_grad_() for x in random_case(seed=1)]
    direction = torch.randn(2, 9, 8, dtype=torch.float64)

    def gradients(sample):
        value, locations, weights = inputs
        return torch.autograd.grad(sample(value, SHAPES, locations, weights), inputs, direction)

    for ours, theirs in zip(gradients(form), gradients(mmcv_sampling), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize('form', FORMS)
def test_gradcheck(form):
    inputs = [
        x.requires_grad_() for x in random_case(seed=2, batch=1, channels=2, queries=2, points=2)
    ]

    def sample(value, locations, weights):
        return form(value, SHAPES, locations, weights)

    assert torch.autograd.gradcheck(sample, inputs)


@pytest.mark.parametrize('channels', [4, 32])
def test_values_do_not_depend_on_whether_gradients_are_wanted(channels):
    value, locations, weights = random_case(seed=3, channels=channels, dtype=torch.float32)
    without = deformable_sampling(value, SHAPES, locations, weights)
    wanted = deformable_sampling(value, SHAPES, locations.clone().requires_grad_(), weights)
    assert wanted.requires_grad
    torch.testing.assert_close(without, wanted.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize('form', FORMS)
def test_samples_by_hand(form):
    """One map of 2x2 with the values 1, 2, 3, 4."""
    value = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    cases = {
        (0.25, 0.25): 1.0,  # a cell's centre gives its value
        (0.75, 0.25): 2.0,  # x runs along the width
        (0.25, 0.75): 3.0,
        (0.5, 0.5): 2.5,  # half-way between all four
        (0.5, 0.25): 1.5,
        (0.0, 0.25): 0.5,  # on the border: half of it lies outside, where there is nothing
        (1.25, 0.25): 0.0,
        (-7.0, 30.0): 0.0,
    }
    locations = torch.tensor(list(cases)).view(1, len(cases), 1, 1, 1, 2)
    weights = torch.ones(1, len(cases), 1, 1, 1)
    out = form(value, ((2, 2),), locations, weights)
    torch.testing.assert_close(out.flatten(), torch.tensor(list(cases.values())))


def test_bfloat16_values_under_autocast():
    value, locations, weights = random_case(seed=4, channels=32, dtype=torch.float32)
    expected = deformable_sampling(value, SHAPES, locations, weights)
    for wanted in (False, True):
        low = value.bfloat16().requires_grad_(wanted)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out = deformable_sampling(low, SHAPES, locations, weights)
        torch.testing.assert_close(out.float(), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ('device', 'dtype', 'compiled', 'backend', 'reason'),
    [
        ('cpu', torch.float32, True, 'torch', 'device is cpu'),
        ('cuda', torch.float32, False, 'torch', 'without compiled operators'),
        ('cuda', torch.bfloat16, True, 'mmcv', 'in float32'),
        ('cuda', torch.float64, True, 'torch', 'torch.float64'),
        ('cuda', torch.float32, True, 'mmcv', 'compiled'),
        ('cuda', torch.float16, True, 'mmcv', 'compiled'),
    ],
)
def test_choice_of_the_backend(monkeypatch, device, dtype, compiled, backend, reason):
    monkeypatch.setattr(module, 'has_compiled_operators', lambda: compiled)
    chosen, why = choose_backend(device, dtype)
    assert chosen == backend
    assert reason in why
