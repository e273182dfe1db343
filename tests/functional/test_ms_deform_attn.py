"""All implementations of deformable attention agree with mmcv and with values by hand."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

import axialvs.functional.ms_deform_attn as module
from axialvs.functional.ms_deform_attn import (
    check_backend,
    deformops_missing_reason,
    level_tensors,
    ms_deform_attn,
    ms_deform_attn_deformops,
    ms_deform_attn_embedding_bag,
    ms_deform_attn_grid_sample,
    select_implementation,
)
from axialvs.functional.ms_deform_attn_mmcv import ms_deform_attn_mmcv
from axialvs.utils.mmcv_ops import MissingOperatorError, missing_reason

SHAPES = ((2, 3), (4, 6), (7, 5))
NUM_VALUES = sum(h * w for h, w in SHAPES)
needs_deformops = pytest.mark.skipif(
    deformops_missing_reason() is not None, reason=str(deformops_missing_reason())
)
IMPLEMENTATIONS = [
    ms_deform_attn_grid_sample,
    ms_deform_attn_embedding_bag,
    pytest.param(ms_deform_attn_deformops, marks=needs_deformops),
]


def random_case(seed=0, batch=2, heads=2, channels=4, queries=9, points=3, dtype=torch.float64):
    """Return values, locations (a third outside of the maps) and weights that sum to one."""
    rng = torch.Generator().manual_seed(seed)
    size = (batch, queries, heads, len(SHAPES), points)
    value = torch.randn(batch, NUM_VALUES, heads, channels, generator=rng, dtype=dtype)
    locations = torch.rand(*size, 2, generator=rng, dtype=dtype) * 1.6 - 0.3
    weights = torch.rand(*size, generator=rng, dtype=dtype).flatten(-2).softmax(-1).view(size)
    return value, locations, weights


def mmcv_reference(value, shapes, locations, weights):
    return multi_scale_deformable_attn_pytorch(value, torch.tensor(shapes), locations, weights)


@pytest.mark.parametrize('implementation', [*IMPLEMENTATIONS, ms_deform_attn])
def test_agrees_with_mmcv(implementation):
    value, locations, weights = random_case()
    assert ((locations < 0) | (locations > 1)).float().mean() > 0.2
    expected = mmcv_reference(value, SHAPES, locations, weights)
    torch.testing.assert_close(
        implementation(value, SHAPES, locations, weights), expected, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_gradients_agree_with_mmcv(implementation):
    inputs = [x.requires_grad_() for x in random_case(seed=1)]
    direction = torch.randn(2, 9, 8, dtype=torch.float64)

    def gradients(sample):
        value, locations, weights = inputs
        return torch.autograd.grad(sample(value, SHAPES, locations, weights), inputs, direction)

    for ours, theirs in zip(gradients(implementation), gradients(mmcv_reference), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_gradcheck(implementation):
    inputs = [
        x.requires_grad_() for x in random_case(seed=2, batch=1, channels=2, queries=2, points=2)
    ]

    def sample(value, locations, weights):
        return implementation(value, SHAPES, locations, weights)

    assert torch.autograd.gradcheck(sample, inputs)


@pytest.mark.parametrize('channels', [4, 32])
def test_values_do_not_depend_on_gradients(channels):
    value, locations, weights = random_case(seed=3, channels=channels, dtype=torch.float32)
    without = ms_deform_attn(value, SHAPES, locations, weights)
    wanted = ms_deform_attn(value, SHAPES, locations.clone().requires_grad_(), weights)
    assert wanted.requires_grad
    torch.testing.assert_close(without, wanted.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_sampling_by_hand(implementation):
    """One map of 2x2 with the values 1, 2, 3, 4."""
    value = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    cases = {
        (0.25, 0.25): 1.0,  # a cell's center gives its value
        (0.75, 0.25): 2.0,  # x runs along the width
        (0.25, 0.75): 3.0,
        (0.5, 0.5): 2.5,  # half-way between all four
        (0.5, 0.25): 1.5,
        (0.0, 0.25): 0.5,  # on the border: half of the weight is on zero padding outside
        (1.25, 0.25): 0.0,
        (-7.0, 30.0): 0.0,
    }
    locations = torch.tensor(list(cases)).view(1, len(cases), 1, 1, 1, 2)
    weights = torch.ones(1, len(cases), 1, 1, 1)
    out = implementation(value, ((2, 2),), locations, weights)
    torch.testing.assert_close(out.flatten(), torch.tensor(list(cases.values())))


def test_bfloat16_values_under_autocast():
    value, locations, weights = random_case(seed=4, channels=32, dtype=torch.float32)
    expected = ms_deform_attn(value, SHAPES, locations, weights)
    for wanted in (False, True):
        low = value.bfloat16().requires_grad_(wanted)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out = ms_deform_attn(low, SHAPES, locations, weights)
        torch.testing.assert_close(out.float(), expected, rtol=0.02, atol=0.02)


INSTALLED, MISSING = None, 'not installed'


@pytest.mark.parametrize(
    ('device', 'dtype', 'mmcv', 'deformops', 'backend', 'reason'),
    [
        ('cpu', torch.float32, INSTALLED, INSTALLED, 'torch', 'device is cpu'),
        ('cuda', torch.float32, MISSING, MISSING, 'torch', 'not installed'),
        ('cuda', torch.float32, INSTALLED, INSTALLED, 'mmcv', 'compiled'),
        ('cuda', torch.float16, INSTALLED, INSTALLED, 'mmcv', 'compiled'),
        ('cuda', torch.float32, MISSING, INSTALLED, 'deformops', 'kernels'),
        ('cuda', torch.bfloat16, INSTALLED, INSTALLED, 'deformops', 'kernels'),
        ('cuda', torch.bfloat16, INSTALLED, MISSING, 'mmcv', 'in float32'),
        ('cuda', torch.float64, INSTALLED, INSTALLED, 'torch', 'torch.float64'),
    ],
)
def test_selected_backend(monkeypatch, device, dtype, mmcv, deformops, backend, reason):
    monkeypatch.setattr(module, 'missing_reason', lambda: mmcv)
    monkeypatch.setattr(module, 'deformops_missing_reason', lambda: deformops)
    chosen, why = select_implementation(device, dtype)
    assert chosen == backend
    assert reason in why


def test_unavailable_backend_raises(monkeypatch):
    monkeypatch.setattr(module, 'missing_reason', lambda: 'mmcv has none')
    monkeypatch.setattr(module, 'deformops_missing_reason', lambda: 'pip adds it')
    value, *rest = random_case()
    with pytest.raises(MissingOperatorError, match=r"'mmcv'.*mmcv has none\. .*pip"):
        ms_deform_attn(value, SHAPES, *rest, backend='mmcv')
    with pytest.raises(MissingOperatorError, match=r"'deformops'.*pip adds it"):
        ms_deform_attn(value, SHAPES, *rest, backend='deformops')
    with pytest.raises(ValueError, match="'cuda'"):
        check_backend('cuda')
    monkeypatch.setattr(module, 'missing_reason', lambda: None)
    with pytest.raises(ValueError, match=r"'mmcv'.*cpu"):
        ms_deform_attn(value, SHAPES, *rest, backend='mmcv')


@pytest.mark.parametrize('backend', ['auto', 'torch'])
def test_explicit_backend_matches_the_default(backend):
    value, *rest = random_case(seed=5)
    expected = ms_deform_attn_grid_sample(value, SHAPES, *rest)
    assert torch.equal(ms_deform_attn(value, SHAPES, *rest, backend=backend), expected)


class KernelInPython(ModuleType):
    """A CPU emulation of mmcv's two kernels with their calling convention."""

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

        # Operators run below autograd; a new thread has autograd enabled.
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(differentiate).result()
        for total, gradient in zip(gradients, found, strict=True):
            total += gradient


@pytest.mark.skipif(missing_reason() is None, reason='the compiled kernels need a GPU')
def test_operator_calls_the_kernels(monkeypatch):
    """Arguments, gradients and the traced graph; the kernels themselves need a GPU."""
    kernels = KernelInPython('mmcv._ext')
    monkeypatch.setitem(sys.modules, 'mmcv._ext', kernels)
    monkeypatch.setattr('mmcv._ext', kernels)
    value, *rest = random_case(seed=6, batch=3, dtype=torch.float32)
    inputs = [x.requires_grad_() for x in (value, *rest)]
    direction = torch.randn(3, 9, 8)

    def results(sample):
        out = sample(inputs[0], SHAPES, *inputs[1:])
        return out, *torch.autograd.grad(out, inputs, direction)

    expected = results(ms_deform_attn_grid_sample)
    compiled = torch.compile(ms_deform_attn_mmcv, backend='aot_eager', fullgraph=True)
    for implementation in (ms_deform_attn_mmcv, compiled):
        for ours, theirs in zip(results(implementation), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    low = ms_deform_attn_mmcv(value.bfloat16(), SHAPES, *rest)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected[0], rtol=0.02, atol=0.02)


def test_level_tensors_from_inference_mode_are_usable_in_training():
    shapes = ((5, 7), (10, 13))
    with torch.inference_mode():
        level_tensors(shapes, torch.device('cpu'))
    sizes, starts = level_tensors(list(map(list, shapes)), torch.device('cpu'))
    assert sizes.tolist() == [[5, 7], [10, 13]]
    assert starts.tolist() == [0, 35]
    assert not sizes.is_inference()
