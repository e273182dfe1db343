"""What inference compiles is one graph each, without breaks, and gives what it gives uncompiled."""

import pytest
import torch

from axialvs.functional.ms_deform_attn import make_dispatch_compile_constant
from tiny_offline import tiny_offline
from tiny_segmenter import PLAIN, WITHIN_CLIP, tiny_segmenter

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


@pytest.mark.parametrize('num_frames', [2, 3])
def test_backbone(num_frames):
    assert_compiles_whole(tiny_segmenter().backbone, clip(num_frames))


@pytest.mark.parametrize('num_frames', [2, 3])
def test_pixel_decoder(num_frames):
    model = tiny_segmenter()
    with torch.no_grad():
        maps = list(model.backbone(clip(num_frames)))
    assert_compiles_whole(model.panoptic_head.pixel_decoder, maps, num_frames)


@pytest.mark.parametrize('num_frames', [2, 3])
@pytest.mark.parametrize('name', [PLAIN, WITHIN_CLIP])
def test_head(name, num_frames):
    model = tiny_segmenter(name)
    with torch.no_grad():
        maps = model.backbone(clip(num_frames))
    assert_compiles_whole(model.panoptic_head, maps, num_frames, False)


@pytest.mark.parametrize('num_clips', [2, 3])
def test_cross_clip_head(num_clips):
    """From the aligned queries on: the alignment itself is SciPy's."""
    model = tiny_offline()
    head = model.panoptic_head

    def refine(queries):
        refined = head.cross_clip(queries)[-1]
        return model.refiner._classify(refined), head.embed_video_masks(refined)

    queries = torch.randn(1, num_clips, 6, 16, generator=torch.Generator().manual_seed(0))
    assert_compiles_whole(refine, queries)


def test_a_compiled_segmenter_takes_clips_of_other_lengths():
    """The second length makes the compiler trace for any length; still there is no break."""
    plain, compiled = tiny_segmenter(), tiny_segmenter()
    plain.precision = compiled.precision = torch.bfloat16
    compiled.compile(fullgraph=True, backend='eager')
    for num_frames in (2, 3):
        ours, expected = (model.predict_clip(clip(num_frames)) for model in (compiled, plain))
        for a, b in zip(ours[:3], expected[:3], strict=True):
            assert a.dtype == b.dtype
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
