"""Training and inference on a device other than the CPU, without tensors left on the CPU."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner, runner
from pycocotools import mask as coco_mask

from axialvs.apis import init_segmenter, segment_video
from config_files import load
from emulated_accelerator import ACCELERATOR, AcceleratorTensor, emulated_accelerator
from generated_videos import frame_folders, write_videos
from repeatable_run import largest_difference, repeatable_config, weights_after, write_start
from tiny_offline import CROSS_CLIP, END_TO_END, tiny_offline, tiny_offline_config
from tiny_segmenter import PLAIN, WITHIN_CLIP, randomize, tiny_segmenter
from training_clips import moving_boxes

KMAX = 'axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py'
HEIGHT, WIDTH = 64, 96
NUM_FRAMES = 6
ITERATIONS = 3


@pytest.fixture
def accelerator():
    with emulated_accelerator():
        yield ACCELERATOR


@pytest.mark.parametrize(
    'step',
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.cat((x, torch.ones(3))),
        lambda x: torch.ones(3)[x.long()],
        lambda x: x.index_put_((torch.tensor([0]),), torch.ones(1)),
        lambda x: x.numpy(),
    ],
)
def test_emulation_separates_devices(accelerator, step):
    with pytest.raises((RuntimeError, TypeError)):
        step(torch.ones(3, device=accelerator))


def test_emulation_keeps_values(accelerator):
    x = torch.arange(3.0, device=accelerator)
    assert isinstance(x, AcceleratorTensor)
    x[1:].mul_(10)
    torch.add(x, 1, out=x)
    there = torch.tensor([2, 0], device=accelerator)
    assert torch.equal(x[there].cpu(), torch.tensor([21.0, 1.0]))
    assert x[[2, 0]].tolist() == x.cpu()[torch.tensor([2, 0])].tolist() == [21.0, 1.0]
    assert (x * 2).requires_grad_().pow(2).sum().item() == pytest.approx(4 * (1 + 121 + 441))


def build(name: str) -> torch.nn.Module:
    if name == KMAX:
        torch.manual_seed(0)
        return init_segmenter(load(KMAX), device='cpu')
    return (tiny_segmenter if name in (PLAIN, WITHIN_CLIP) else tiny_offline)(name)


def learn(name: str, device: torch.device | str) -> tuple[dict, dict]:
    """Return losses of a batch of two clips and all gradients, on the CPU."""
    model = build(name).train().to(device)
    rng = torch.Generator().manual_seed(0)
    frames = torch.randn(2, NUM_FRAMES, 3, HEIGHT, WIDTH, generator=rng)
    clips = [moving_boxes(n, NUM_FRAMES, HEIGHT, WIDTH) for n in (3, 2)]
    torch.manual_seed(1)
    losses = model.loss(frames.to(device), clips)
    sum(losses.values()).backward()
    gradients = {name: x.grad.cpu() for name, x in model.named_parameters() if x.grad is not None}
    return {name: loss.item() for name, loss in losses.items()}, gradients


@pytest.mark.parametrize('name', [KMAX, PLAIN, WITHIN_CLIP, CROSS_CLIP, END_TO_END])
def test_losses_and_gradients(name):
    losses, gradients = learn(name, 'cpu')
    with emulated_accelerator():
        losses_there, gradients_there = learn(name, ACCELERATOR)
    assert losses_there == pytest.approx(losses, rel=1e-4)
    assert gradients_there.keys() == gradients.keys()
    tolerance = 3e-3 if name == KMAX else 1e-3  # deeper, so rounding accumulates
    wrong = [
        key
        for key, expected in gradients.items()
        if (gradients_there[key] - expected).abs().max() > tolerance * expected.abs().max() + 1e-6
    ]
    assert not wrong


@pytest.fixture(scope='module')
def videos(tmp_path_factory) -> Path:
    return write_videos(tmp_path_factory.mktemp('data') / 'videos', [7, 4], num_objects=(2, 2))


@pytest.mark.parametrize('protocol', ['live', 'scored'])
@pytest.mark.parametrize('mode', ['near-online', 'offline'])
def test_tracks_of_a_video(videos, mode, protocol):
    model = init_segmenter(tiny_offline_config(), device='cpu')
    randomize(model)

    def tracks():
        frames = frame_folders(videos)[0]
        result = segment_video(model, frames, mode=mode, protocol=protocol, score_thr=0.0)
        return result.tracks()

    expected = tracks()
    with emulated_accelerator():
        model.to(ACCELERATOR)
        found = tracks()
    assert len(found) == len(expected) > 1
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.id, ours.label) == (theirs.id, theirs.label)
        assert ours.score == pytest.approx(theirs.score, rel=1e-4)
        masks = [
            np.stack([coco_mask.decode(x) for x in track.segmentations]) for track in (ours, theirs)
        ]
        assert np.mean(masks[0] != masks[1]) < 0.001


@pytest.mark.filterwarnings('ignore:.*copying from a non-meta parameter')  # the test copies it
def test_training_with_validation(videos, tmp_path, monkeypatch):
    """The checkpoint can be loaded without an accelerator."""
    start = torch.load(write_start(tmp_path), weights_only=True)['state_dict']

    def train(name: str) -> tuple[dict, list[dict]]:
        config = repeatable_config(
            tmp_path, name, videos, 2, ITERATIONS, val_interval=ITERATIONS, val_begin=ITERATIONS
        )
        config.val_evaluator.outfile_prefix = str(tmp_path / name / 'scored')
        Runner.from_cfg(config).train()
        tracks = json.loads((tmp_path / name / 'scored.json').read_text())
        return weights_after(tmp_path / name, ITERATIONS), tracks

    expected, expected_tracks = train('cpu')
    monkeypatch.setattr(runner, 'get_device', lambda: str(ACCELERATOR))
    with emulated_accelerator():
        found, tracks = train('accelerator')
    assert all(type(x) is torch.Tensor and x.is_cpu for x in found.values())
    assert largest_difference(found, expected, start) < 1e-4
    assert len(tracks) == len(expected_tracks) > 0
    for ours, theirs in zip(tracks, expected_tracks, strict=True):
        assert (ours['video_id'], ours['category_id']) == (
            theirs['video_id'],
            theirs['category_id'],
        )
        assert ours['score'] == pytest.approx(theirs['score'], rel=1e-3)
