"""Tests that checkpoints of mmdet's own Mask2Former models fit ours, tensor for tensor."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from axialvs.checkpoints.key_mapping import CLASS_BIAS, CLASS_WEIGHT, adapt_state_dict
from axialvs.checkpoints.loading import class_names_of, load_weights
from axialvs.datasets.class_names import resolve_class_list

CONFIGS = Path(__file__).parents[2] / 'configs'
MMDET_CONFIGS = Path(mmdet.__path__[0]) / '.mim' / 'configs'
YOUTUBE_VIS = resolve_class_list('2021')


def build(config: Path) -> nn.Module:
    init_default_scope('mmdet')
    return MODELS.build(Config.fromfile(config).model)


@pytest.fixture(scope='module')
def tube_link() -> nn.Module:
    return build(CONFIGS / 'tube_link' / 'tube-link_r50_8xb1-15k_youtubevis2021.py')


@pytest.fixture(scope='module')
def coco() -> dict:
    """Return random weights of mmdet's image model with the names of its model zoo."""
    model = build(MMDET_CONFIGS / 'mask2former' / 'mask2former_r50_8xb2-lsj-50e_coco.py')
    return {'state_dict': model.state_dict()}


def test_coco_model_loads_except_missing_class_rows(coco, tube_link):
    own = tube_link.state_dict()
    fitting, report = adapt_state_dict(coco['state_dict'], own, class_names_of(coco), YOUTUBE_VIS)
    assert len(own) == 610
    assert len(report.used) == 608
    assert report.selected == [CLASS_WEIGHT, CLASS_BIAS]
    assert report.missing == report.unexpected == []
    assert report.mismatched == {}
    person, giraffe = (YOUTUBE_VIS.index(name) for name in ('person', 'giraffe'))
    theirs = coco['state_dict'][CLASS_WEIGHT]
    coco_classes = class_names_of(coco)
    for row, name in ((person, 'person'), (giraffe, 'giraffe')):
        torch.testing.assert_close(fitting[CLASS_WEIGHT][row], theirs[coco_classes.index(name)])
    torch.testing.assert_close(fitting[CLASS_WEIGHT][-1], theirs[-1])
    assert len(report.matched_classes) >= 15
    assert 'tennis_racket' in report.matched_classes


def test_coco_model_lacks_only_the_tracking_module(coco):
    model = build(CONFIGS / 'axialvs' / 'axialvs-wc_r50_8xb1-15k_youtubevis2021.py')
    _, report = adapt_state_dict(
        coco['state_dict'], model.state_dict(), class_names_of(coco), YOUTUBE_VIS
    )
    assert len(report.used) == 608
    assert report.unexpected == []
    assert report.mismatched == {}
    new = ('.temporal_layer.', '.gamma', '.level_encoding_3d.')
    assert len(report.missing) == 809 - 610
    assert all(any(part in name for part in new) for name in report.missing)


def test_video_model_loads_completely(tube_link, tmp_path):
    config = 'mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py'
    weights = build(MMDET_CONFIGS / config).state_dict()
    torch.save({'state_dict': weights}, tmp_path / 'vis.pth')
    path = tmp_path / 'vis.pth'
    report = load_weights(tube_link, path)
    assert len(report.used) == 610
    own = tube_link.state_dict()
    for name, tensor in weights.items():
        torch.testing.assert_close(own[name.replace('track_head.', 'panoptic_head.')], tensor)
