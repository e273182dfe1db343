"""The fused kernels of trajectory attention agree with the eager form, gradients included.

On a GPU they run as compiled; elsewhere Triton's interpreter runs them on the CPU.
"""

import importlib
import os
from types import SimpleNamespace

import pytest
import torch

from axialvs.functional.trajectory_attention import (
    TrajectoryProjections,
    TrajectorySpec,
    trajectory_attention_eager,
)

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
if DEVICE == 'cpu':
    os.environ['TRITON_INTERPRET'] = '1'  # Triton reads this variable on import
pytest.importorskip('triton', reason='Triton is not installed')
BOUNDS = {torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 2e-2}


def eager(*arguments):
    return trajectory_attention_eager(*arguments[:4], TrajectorySpec(*arguments[4:]))[0]


@pytest.fixture(scope='module')
def kernels():
    """Return the module, with its kernels interpreted if there is no GPU."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == 'cpu':
            multiply_bfloat16_in_the_interpreter(patch)
        yield importlib.import_module('axialvs.functional.trajectory_attention_triton')


def multiply_bfloat16_in_the_interpreter(patch):
    """Fix products of bfloat16, which Triton's interpreter (up to 3.9) treats as integers."""
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder

    plain = InterpreterBuilder.create_dot

    def create_dot(self, a, b, *rest):
        a, b = (
            self.create_fp_ext(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x
            for x in (a, b)
        )
        return plain(self, a, b, *rest)

    patch.setattr(InterpreterBuilder, 'create_dot', create_dot)


def random_case(dtype, shape, num_heads, head_size, bias=True, seed=0):
    """Return leaf tensors: query (B, T * n, C), key, value (B, T * m, C), and projections."""
    batch, num_frames, num_queries, num_keys = shape
    channels = num_heads * head_size
    rng = torch.Generator().manual_seed(seed)

    def draw(*size, factor=1.0):
        x = torch.randn(*size, generator=rng) * factor
        return x.to(DEVICE, dtype).requires_grad_()

    sequences = [draw(batch, num_frames * n, channels) for n in (num_queries, num_keys, num_keys)]
    projections = TrajectoryProjections(
        draw(channels, channels, factor=channels**-0.5),
        draw(channels) if bias else None,
        draw(2 * channels, channels, factor=channels**-0.5),
        draw(2 * channels) if bias else None,
    )
    return sequences, projections


def results(form, sequences, projections, *numbers):
    """Return the output and the gradients of every input along one direction."""
    inputs = [x for x in (*sequences, *projections) if x is not None]
    out = form(*sequences, projections, *numbers)
    out = out[0] if isinstance(out, tuple) else out
    rng = torch.Generator().manual_seed(1)
    direction = torch.randn(out.shape, generator=rng).to(out)
    return [out, *torch.autograd.grad(out, inputs, direction)]


def assert_agrees(kernels, sequences, projections, *numbers):
    """Compare with the equations in float64, relative to the largest value of each result."""
    exact = [
        [None if x is None else x.detach().double().requires_grad_() for x in tensors]
        for tensors in (sequences, projections)
    ]
    expected = results(eager, exact[0], TrajectoryProjections(*exact[1]), *numbers)
    found = results(kernels.trajectory_attention_triton, sequences, projections, *numbers)
    bound = BOUNDS[sequences[0].dtype]
    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.shape == theirs.shape
        assert ours.dtype == sequences[0].dtype
        theirs = theirs.detach()
        size = theirs.abs().max().clamp_min(1e-3)
        error = float((ours.detach().double() - theirs).abs().max() / size)
        assert error < bound, f'result {i}: {error:.1e}'


@pytest.mark.parametrize('dtype', BOUNDS, ids=str)
@pytest.mark.parametrize(
    ('shape', 'num_heads', 'head_size'),
    [
        ((2, 3, 5, 5), 2, 32),
        ((1, 2, 17, 17), 1, 64),
        ((2, 1, 4, 4), 2, 32),
    ],
    ids=['three frames', 'two frames, one head of 64', 'one frame'],
)
def test_output_and_gradients_match_the_equations(kernels, dtype, shape, num_heads, head_size):
    case = random_case(dtype, shape, num_heads, head_size)
    assert_agrees(kernels, *case, shape[1], num_heads, head_size**-0.5)


def test_explicit_scale_without_biases(kernels):
    case = random_case(torch.float32, (1, 2, 3, 3), 2, 32, bias=False)
    assert_agrees(kernels, *case, 2, 2, 0.3)


def test_long_lines_and_fewer_queries_than_keys(kernels):
    case = random_case(torch.float32, (1, 2, 3, 70), 1, 32)
    assert_agrees(kernels, *case, 2, 1, 32**-0.5)


def test_split_lines_match_unsplit_lines(kernels, monkeypatch):
    from axialvs.functional import trajectory_launches

    case = random_case(torch.float32, (3, 2, 5, 5), 1, 32)
    monkeypatch.setattr(kernels, 'POINT_BYTES', 1)
    monkeypatch.setattr(trajectory_launches, 'POINTS_PER_SPLIT', 4)
    assert_agrees(kernels, *case, 2, 1, 32**-0.5)


def test_gradients_are_deterministic(kernels):
    case = random_case(torch.float32, (2, 2, 9, 9), 2, 32)
    numbers = (2, 2, 32**-0.5)
    first, second = (results(kernels.trajectory_attention_triton, *case, *numbers) for _ in '12')
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_strided_inputs(kernels):
    sequences, projections = random_case(torch.float32, (2, 2, 5, 5), 1, 32)
    strided = [x.detach().transpose(1, 2).contiguous().transpose(1, 2) for x in sequences]
    strided = [x.requires_grad_() for x in strided]
    assert not strided[0].is_contiguous()
    assert_agrees(kernels, strided, projections, 2, 1, 32**-0.5)


def test_torch_compile_has_no_graph_breaks(kernels):
    sequences, projections = random_case(torch.float32, (1, 2, 4, 4), 1, 32)

    def attend(query, key, value, projections, *numbers):
        out = kernels.trajectory_attention_triton(query * 2, key, value, projections, *numbers)
        return out + query

    compiled = torch.compile(attend, backend='aot_eager', fullgraph=True)
    numbers = (2, 1, 32**-0.5)
    for ours, theirs in zip(
        results(compiled, sequences, projections, *numbers),
        results(attend, sequences, projections, *numbers),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_second_derivative_raises(kernels):
    sequences, projections = random_case(torch.float32, (1, 1, 4, 4), 1, 32)
    out = kernels.trajectory_attention_triton(*sequences, projections, 1, 1, 0.2)
    (gradient,) = torch.autograd.grad(out.square().sum(), sequences[2], create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def test_opcheck(kernels):
    sequences, projections = random_case(torch.float32, (1, 2, 4, 4), 1, 32)
    torch.library.opcheck(kernels._attend, (*sequences, *projections, 2, 1, 32**-0.5))


def test_autocast_returns_the_dtype_of_a_linear_layer(kernels):
    sequences, projections = random_case(torch.float32, (1, 2, 4, 4), 1, 32)
    arguments = (*sequences, projections, 2, 1, 32**-0.5)
    expected = eager(*arguments)
    with torch.autocast(DEVICE, torch.bfloat16):
        out = kernels.trajectory_attention_triton(*arguments)
    assert out.dtype == torch.bfloat16
    expected = expected.detach()
    assert float((out.detach() - expected).abs().max()) < 0.05 * float(expected.abs().max())
    (gradient,) = torch.autograd.grad(out.sum(), projections.query_weight)
    assert gradient.dtype == torch.float32


@pytest.mark.parametrize(
    ('dtype', 'channels', 'num_heads', 'dropout_p', 'supported'),
    [
        (torch.float32, 256, 8, 0.0, True),
        (torch.bfloat16, 256, 4, 0.0, True),
        (torch.float32, 256, 8, 0.1, False),
        (torch.float64, 256, 8, 0.0, False),
        (torch.float32, 256, 1, 0.0, False),
        (torch.float32, 96, 3, 0.0, False),
        (torch.float32, 1024, 16, 0.0, False),
    ],
)
def test_supported_inputs(kernels, dtype, channels, num_heads, dropout_p, supported):
    query = torch.zeros(1, 4, channels, dtype=dtype)
    assert kernels.triton_supports(query, num_heads, dropout_p) is supported


@pytest.fixture
def gpus(kernels, monkeypatch):
    """Emulate two GPUs with changeable compute capabilities and a Triton driver for them."""
    capabilities = [(9, 0), (8, 6)]
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, 'get_device_capability', capabilities.__getitem__)
    driver = SimpleNamespace(active=SimpleNamespace(utils='compiled'))
    monkeypatch.setattr(kernels.triton.runtime, 'driver', driver)
    return capabilities


def test_old_gpus_and_triton_versions_are_not_supported(kernels, gpus, monkeypatch):
    query = torch.zeros(1, 4, 256)
    assert kernels.triton_supports(query, 8)
    assert kernels.missing_reason() is None
    gpus[1] = (7, 5)
    assert '8.0' in kernels.missing_reason()
    monkeypatch.setattr(kernels.triton, '__version__', '3.2.0')
    assert '3.2.0' in kernels.missing_reason()
    monkeypatch.setattr(kernels, 'RUNS_HERE', kernels.missing_reason() is None)
    assert not kernels.triton_supports(query, 8)


def test_not_supported_without_a_c_compiler(kernels, gpus, monkeypatch):
    class Driver:
        @property
        def active(self):
            raise RuntimeError('no gcc')

    monkeypatch.setattr(kernels.triton.runtime, 'driver', Driver())
    assert 'RuntimeError: no gcc' in kernels.missing_reason()
