"""Parameter groups of the release's five Video-kMaX models, parameter by parameter."""

import json
from pathlib import Path

import pytest
import torch
from kmax_release import R50, build_head
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from torch import nn

from axialvs.checkpoints.release_names import rename_kmax_tensor
from axialvs.layers.cross_clip.tracking import CrossClipTracking
from axialvs.models.video_kmax.video_predictor import VideoPredictor
from config_files import load

FIXTURE = Path(__file__).parents[1] / 'data' / 'parity' / 'kmax_optimizer.json'
GROUPS = json.loads(FIXTURE.read_text())['groups']
CONFIG_OF = dict(
    near_online_r50='axialvs/axialvs-wc-kmax_r50_16xb2-40k_vipseg_release.py',
    offline_r50='axialvs/axialvs-cc-kmax_r50_8xb2-15k_vipseg.py',
    near_online_convnext_l='axialvs/axialvs-wc-kmax_convnext-l_16xb2-30k_vipseg_release.py',
    near_online_convnextv2_l='axialvs/axialvs-wc-kmax_convnextv2-l_16xb2-30k_vipseg_release.py',
    coco_r50='video_kmax/kmax_r50_32xb2-150k_coco.py',
)


def build_model(name: str) -> nn.Module:
    """Build a model as trained by the release, on the meta device."""
    model = nn.Module()
    within_clip = None if 'coco' in name else dict(temporal_layer=dict(num_layers=2))
    channels = (192, 384, 768, 1536) if 'convnext' in name else (256, 512, 1024, 2048)
    with torch.device('meta'):
        if 'convnext' in name:
            version = 2 if 'convnextv2' in name else 1
            model.backbone = MODELS.build(dict(type='PaddedConvNeXt', version=version))
        else:
            model.backbone = MODELS.build(R50)
        model.panoptic_head = build_head(
            in_channels=channels, within_clip=within_clip, semantic_head={}
        )
        if 'offline' in name:
            model.requires_grad_(False)
            model.panoptic_head.cross_clip = CrossClipTracking(256)
            model.panoptic_head.video_predictor = VideoPredictor(256, 128, 124)
    return model


@pytest.mark.parametrize('name', GROUPS)
def test_parameter_groups(name):
    model = build_model(name)
    settings = load(CONFIG_OF[name]).optim_wrapper
    settings.optimizer.lr = 1.0
    wrapper = build_optim_wrapper(model, settings)
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {
        f'lr x{group["lr"]:g}, weight decay {group["weight_decay"]:g}': {
            names[parameter] for parameter in group['params']
        }
        for group in wrapper.optimizer.param_groups
    }
    expected = {
        title: {rename_kmax_tensor(member) for member in members}
        for title, members in GROUPS[name].items()
    }
    assert found == expected
