"""The forms of deformable sampling against one another, against mmcv's and by hand."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

import axialvs.functional.ms_deform_attn as module
from axialvs.functional.ms_deform_attn import (
    check_backend,
    choose_backend,
    deformable_sampling,
    deformops_missing_reason,
    level_tensors,
    sample_with_deformops,
    sample_with_embedding_bag,
    sample_with_grid,
    sample_with_mmcv,
)
from axialvs.utils.mmcv_ops import MissingOperatorError, missing_reason

SHAPES = ((2, 3), (4, 6), (7, 5))
NUM_VALUES = sum(h * w for h, w in SHAPES)
needs_deformops = pytest.mark.skipif(
    deformops_missing_reason() is not None, reason=str(deformops_missing_reason())
)
FORMS = [
    sample_with_grid,
    sample_with_embedding_bag,
    pytest.param(sample_with_deformops, marks=needs_deformops),
]


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


HERE, NOT_HERE = None, 'not installed'


@pytest.mark.parametrize(
    ('device', 'dtype', 'mmcv', 'deformops', 'backend', 'reason'),
    [
        ('cpu', torch.float32, HERE, HERE, 'torch', 'device is cpu'),
        ('cuda', torch.float32, NOT_HERE, NOT_HERE, 'torch', 'not installed'),
        ('cuda', torch.float32, HERE, HERE, 'mmcv', 'compiled'),
        ('cuda', torch.float16, HERE, HERE, 'mmcv', 'compiled'),
        ('cuda', torch.float32, NOT_HERE, HERE, 'deformops', 'kernels'),
        ('cuda', torch.bfloat16, HERE, HERE, 'deformops', 'kernels'),
        ('cuda', torch.bfloat16, HERE, NOT_HERE, 'mmcv', 'in float32'),
        ('cuda', torch.float64, HERE, HERE, 'torch', 'torch.float64'),
    ],
)
def test_choice_of_the_backend(monkeypatch, device, dtype, mmcv, deformops, backend, reason):
    monkeypatch.setattr(module, 'missing_reason', lambda: mmcv)
    monkeypatch.setattr(module, 'deformops_missing_reason', lambda: deformops)
    chosen, why = choose_backend(device, dtype)
    assert chosen == backend
    assert reason in why


def test_a_backend_that_is_not_here_says_what_to_do(monkeypatch):
    monkeypatch.setattr(module, 'missing_reason', lambda: 'mmcv has none')
    monkeypatch.setattr(module, 'deformops_missing_reason', lambda: 'deformops: pip adds it')
    case = random_case()
    with pytest.raises(MissingOperatorError, match=r"'mmcv' is not here: mmcv has none\. .*pip"):
        deformable_sampling(case[0], SHAPES, *case[1:], backend='mmcv')
    with pytest.raises(MissingOperatorError, match=r"'deformops' is not here: .*pip adds it"):
        deformable_sampling(case[0], SHAPES, *case[1:], backend='deformops')
    with pytest.raises(ValueError, match="backend is 'cuda'; there is 'auto', 'mmcv'"):
        check_backend('cuda')
    monkeypatch.setattr(module, 'missing_reason', lambda: None)
    with pytest.raises(ValueError, match=r"runs on a GPU only.*on cpu; use 'auto' or 'torch'"):
        deformable_sampling(case[0], SHAPES, *case[1:], backend='mmcv')


@pytest.mark.parametrize('backend', ['auto', 'torch'])
def test_asking_for_what_runs_anyway_changes_nothing(backend):
    value, *rest = random_case(seed=5)
    expected = sample_with_grid(value, SHAPES, *rest)
    assert torch.equal(deformable_sampling(value, SHAPES, *rest, backend=backend), expected)


class KernelInPython(ModuleType):
    """mmcv's two kernels with their calling convention, for a machine that cannot run them."""

    @staticmethod
    def ms_deform_attn_forward(value, sizes, starts, locations, weights, im2col_step):
        assert value.shape[0] % im2col_step == 0
        assert starts.tolist() == [0, 6, 30]
        return multi_scale_deformable_attn_pytorch(value, sizes, locations, weights)

    @classmethod
    def ms_deform_attn_backward(
        cls, value, sizes, starts, locations, weights, grad_out, *gradients, im2col_step
    ):
        inputs = [x.detach().requires_grad_() for x in (value, locations, weights)]

        def differentiate():
            out = multi_scale_deformable_attn_pytorch(inputs[0], sizes, *inputs[1:])
            return torch.autograd.grad(out, inputs, grad_out)

        # An operator runs below autograd, which a thread of its own has again.
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(differentiate).result()
        for total, gradient in zip(gradients, found, strict=True):
            total += gradient


@pytest.mark.skipif(missing_reason() is None, reason='the real kernels are here, for a GPU')
def test_operator_around_the_kernels(monkeypatch):
    """Arguments, gradients and what a compiler sees; the kernels themselves need a GPU."""
    kernels = KernelInPython('mmcv._ext')
    monkeypatch.setitem(sys.modules, 'mmcv._ext', kernels)
    monkeypatch.setattr('mmcv._ext', kernels)
    value, *rest = random_case(seed=6, batch=3, dtype=torch.float32)
    inputs = [x.requires_grad_() for x in (value, *rest)]
    direction = torch.randn(3, 9, 8)

    def results(sample):
        out = sample(inputs[0], SHAPES, *inputs[1:])
        return out, *torch.autograd.grad(out, inputs, direction)

    expected = results(sample_with_grid)
    compiled = torch.compile(sample_with_mmcv, backend='aot_eager', fullgraph=True)
    for form in (sample_with_mmcv, compiled):
        for ours, theirs in zip(results(form), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    low = sample_with_mmcv(value.bfloat16(), SHAPES, *rest)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected[0], rtol=0.02, atol=0.02)


def test_level_tensors_made_in_inference_mode_serve_training():
    shapes = ((5, 7), (10, 13))
    with torch.inference_mode():
        level_tensors(shapes, torch.device('cpu'))
    sizes, starts = level_tensors(list(map(list, shapes)), torch.device('cpu'))
    assert sizes.tolist() == [[5, 7], [10, 13]]
    assert starts.tolist() == [0, 35]
    assert not sizes.is_inference()
