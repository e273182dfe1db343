"""Compiled parts of inference are single graphs without breaks and match eager mode."""

import pytest
import torch

from axialvs.functional.ms_deform_attn import make_dispatch_compile_constant
from tiny_offline import tiny_offline
from tiny_segmenter import PLAIN, tiny_segmenter

HEIGHT, WIDTH = 64, 96


@pytest.fixture(autouse=True)
def _fresh_compiler():
    make_dispatch_compile_constant()
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def clip(num_frames: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(num_frames)
    return torch.randn(num_frames, 3, HEIGHT, WIDTH, generator=rng)


@torch.no_grad()
def assert_compiles_whole(function, *arguments):
    """`fullgraph` raises at a graph break; the backend runs the graph as it was traced."""
    compiled = torch.compile(function, fullgraph=True, backend='eager')
    torch.testing.assert_close(compiled(*arguments), function(*arguments), rtol=1e-4, atol=1e-4)


def test_head_without_within_clip_tracking():
    model = tiny_segmenter(PLAIN)
    with torch.no_grad():
        maps = model.backbone(clip(2))
    assert_compiles_whole(model.panoptic_head, maps, 2, False)


def test_cross_clip_head():
    """Compile the part after the alignment of queries, which uses SciPy."""
    model = tiny_offline()
    head = model.panoptic_head

    def refine(queries):
        refined = head.cross_clip(queries)[-1]
        return model.refiner._classify(refined), head.embed_video_masks(refined)

    queries = torch.randn(1, 3, 6, 16, generator=torch.Generator().manual_seed(0))
    assert_compiles_whole(refine, queries)


def test_compiled_segmenter_supports_other_clip_lengths():
    """The second length triggers dynamic shapes, still without a graph break."""
    plain, compiled = tiny_segmenter(), tiny_segmenter()
    plain.precision = compiled.precision = torch.bfloat16
    for model in (plain, compiled):  # equal layers, since tracing with dynamic length is slow
        del model.panoptic_head.transformer_decoder.layers[1:]
    compiled.compile(fullgraph=True, backend='eager')
    for num_frames in (2, 3):
        ours, expected = (model.predict_clip(clip(num_frames)) for model in (compiled, plain))
        for a, b in zip(ours[:3], expected[:3], strict=True):
            assert a.dtype == b.dtype
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
