"""The networks on torch's `meta` device, which has shapes and no values.

Waiting for an accelerator fails there because values cannot be read; waiting for the host,
caused by CPU data, is detected by `nothing_from_the_host`.
"""

from contextlib import contextmanager

import pytest
import torch
from mmdet.registry import MODELS
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from config_files import load
from tiny_offline import tiny_offline
from tiny_segmenter import PANOPTIC, PLAIN, WITHIN_CLIP, tiny_segmenter

CLIPS = (2, 3, 3, 64, 96)


class NothingFromTheHost(TorchDispatchMode):
    """A mode that raises if a CPU tensor is mixed with or moved to another device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        devices = {x.device for x in tree_leaves((args, kwargs, result)) if torch.is_tensor(x)}
        if len(devices) > 1:
            raise AssertionError(f'{function} takes data from the host')
        return result


class NoLists(TorchFunctionMode):
    """A mode that raises if a Python list becomes a tensor on another device than the CPU."""

    takes_lists = (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in self.takes_lists and not result.is_cpu:
            raise AssertionError(f'{function} takes data from the host')
        return result


@contextmanager
def nothing_from_the_host():
    with NothingFromTheHost(), NoLists():
        yield


@pytest.mark.parametrize(
    'step',
    [
        lambda x: x + torch.ones(2),
        lambda x: torch.ones(2).to(x.device),
        lambda x: x.new_tensor([1.0, 2.0]),
        lambda x: torch.tensor([1.0, 2.0], device=x.device),
        lambda x: x[torch.tensor([1])],
    ],
)
def test_data_from_the_host_is_detected(step):
    with nothing_from_the_host(), pytest.raises((AssertionError, RuntimeError)):
        step(torch.ones(2, device='meta'))


@pytest.mark.parametrize('name', [PLAIN, WITHIN_CLIP, PANOPTIC])
def test_clip(name):
    model = tiny_segmenter(name).to('meta')
    with nothing_from_the_host():
        first, second = model.tracker('near-online').encode(torch.empty(CLIPS, device='meta'))
    for prediction in (first, second):
        assert prediction.class_logits.is_meta
        assert prediction.mask_logits.shape[1:] == (3, 16, 24)


def test_video_kmax_clip():
    config = load('axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py').model
    model = MODELS.build(config).eval().to('meta')
    clips = torch.empty(2, 2, 3, 97, 161, device='meta')
    with nothing_from_the_host():
        first, _ = model.tracker('near-online').encode(clips)
    assert first.mask_logits.shape == (24, 2, 25, 41)
    assert first.identity.is_meta


def test_cross_clip_refinement():
    model = tiny_offline().requires_grad_(False).to('meta')
    with nothing_from_the_host():
        clips = model.tracker('offline').encode(torch.empty(CLIPS, device='meta'))
        queries = torch.stack([clip.queries for clip in clips]).unsqueeze(0)
        refined = model.panoptic_head.cross_clip(queries)[-1]
    assert refined.is_meta
    assert refined.shape == queries.shape


def test_gradients():
    model = tiny_segmenter(PLAIN).train().to('meta')
    with nothing_from_the_host():
        features = model.extract_features(torch.empty(CLIPS, device='meta'))
        predictions = tree_leaves(model.panoptic_head(features, CLIPS[1]))
        sum(x.sum() for x in predictions).backward()
    assert all(x.grad is not None and x.grad.is_meta for x in model.parameters())
