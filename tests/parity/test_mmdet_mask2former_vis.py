"""mmdet's Mask2Former-VIS loaded unchanged into plain Tube-Link has the same outputs."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope
from release_weights import release_weight

from axialvs.apis import init_segmenter

THEIRS = 'mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py'
OURS = Path(__file__).parents[2] / 'configs/tube_link/tube-link_r50_8xb1-15k_youtubevis2021.py'
# Rounding may flip an attention mask bit and so change a query of the decoder.
MIN_CLOSE_QUERIES = 97


@pytest.fixture(scope='module')
def mask2former_vis() -> torch.nn.Module:
    """Return mmdet's model with weights by the rule of the fixtures."""
    init_default_scope('mmdet')
    configs = Path(mmdet.__file__).parent / '.mim' / 'configs'
    model = MODELS.build(Config.fromfile(configs / THEIRS).model)
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(release_weight(key, tuple(tensor.shape)))
    return model.eval()


@pytest.fixture(scope='module')
def tube_link(mask2former_vis, tmp_path_factory) -> torch.nn.Module:
    path = tmp_path_factory.mktemp('mmdet') / 'mask2former_vis.pth'
    torch.save({'meta': {}, 'state_dict': mask2former_vis.state_dict()}, path)
    return init_segmenter(OURS, path, 'cpu')


def test_every_tensor_is_used(mask2former_vis, tube_link):
    weights = tube_link.state_dict()
    assert len(weights) == len(mask2former_vis.state_dict()) == 610
    for key, tensor in mask2former_vis.state_dict().items():
        assert torch.equal(weights[key.replace('track_head', 'panoptic_head')], tensor)


@torch.no_grad()
def test_outputs_agree(mask2former_vis, tube_link):
    frames = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    classes, masks = mask2former_vis.track_head(mask2former_vis.backbone(frames), None)
    ours = tube_link.panoptic_head(tube_link.backbone(frames), num_frames=3)
    assert len(ours.class_logits) == len(classes) == 10
    for mine, theirs in ((ours.class_logits[0], classes[0]), (ours.mask_logits[0], masks[0])):
        assert (mine - theirs).abs().max() < 1e-4 * theirs.abs().max()
    for mine, theirs in ((ours.class_logits[-1], classes[-1]), (ours.mask_logits[-1], masks[-1])):
        error = (mine - theirs).abs()[0].flatten(1).amax(1) / theirs.abs().max()
        assert (error < 1e-3).sum() >= MIN_CLOSE_QUERIES
        assert error.max() < 1e-1
