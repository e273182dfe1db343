"""mmdet's Mask2Former models in ours: all tensors are used, plain Tube-Link computes alike."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope
from release_weights import release_weight

from axialvs.apis import init_segmenter
from axialvs.checkpoints import adapt_state_dict, class_names_of, load_checkpoint_safely
from axialvs.datasets.class_lists import CLASS_LISTS

MMDET_CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
TUBE_LINK = Path(__file__).parents[2] / 'configs/tube_link/tube-link_r50_8xb1-15k_youtubevis2021.py'
CLASS_LAYER = ['panoptic_head.cls_embed.weight', 'panoptic_head.cls_embed.bias']


def mmdet_model(name: str) -> torch.nn.Module:
    """A model of one of mmdet's configs, with weights by the rule of the fixtures."""
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(MMDET_CONFIGS / name).model)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(release_weight(key, tuple(tensor.shape)))
    return model.eval()


def saved(model: torch.nn.Module, path: Path) -> Path:
    torch.save({'meta': {}, 'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture(scope='module')
def tube_link():
    return init_segmenter(TUBE_LINK)


@pytest.fixture(scope='module')
def mask2former_vis():
    return mmdet_model('mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py')


def test_coco_mask2former_gives_all_but_the_class_layer(tube_link, tmp_path):
    coco = mmdet_model('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')
    checkpoint = load_checkpoint_safely(saved(coco, tmp_path / 'coco.pth'))
    own = tube_link.state_dict()
    source_classes, target_classes = class_names_of(checkpoint), CLASS_LISTS['2021']
    fitting, report = adapt_state_dict(
        checkpoint['state_dict'], own, source_classes, target_classes
    )
    assert len(own) == 610
    assert len(report.used) == 608
    assert report.selected == CLASS_LAYER
    assert [report.missing, report.unexpected, report.mismatched] == [[], [], {}]
    for key in report.used:
        assert torch.equal(fitting[key], coco.state_dict()[key])
    rows, theirs = fitting[CLASS_LAYER[0]], coco.state_dict()[CLASS_LAYER[0]]
    row_of = target_classes.index
    assert torch.equal(rows[row_of('zebra')], theirs[source_classes.index('zebra')])
    assert torch.equal(rows[-1], theirs[-1])
    assert torch.equal(rows[row_of('lizard')], own[CLASS_LAYER[0]][row_of('lizard')])


def test_mask2former_vis_gives_every_tensor(mask2former_vis, tube_link, tmp_path):
    path = saved(mask2former_vis, tmp_path / 'vis.pth')
    fitting, report = adapt_state_dict(
        load_checkpoint_safely(path)['state_dict'], tube_link.state_dict()
    )
    assert len(report.used) == len(fitting) == len(mask2former_vis.state_dict()) == 610
    assert report.is_complete
    loaded = init_segmenter(TUBE_LINK, path).state_dict()
    for key, tensor in mask2former_vis.state_dict().items():
        assert torch.equal(loaded[key.replace('track_head', 'panoptic_head')], tensor)


@torch.no_grad()
def test_plain_tube_link_is_mask2former_vis(mask2former_vis, tube_link):
    weights = mask2former_vis.state_dict()
    tube_link.load_state_dict(weights)
    frames = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    head = mask2former_vis.track_head
    classes, masks = head(mask2former_vis.backbone(frames), None)
    ours = tube_link.panoptic_head(tube_link.backbone(frames), num_frames=3)
    assert len(ours.class_logits) == len(classes) == 10
    for mine, theirs in ((ours.class_logits[0], classes[0]), (ours.mask_logits[0], masks[0])):
        assert (mine - theirs).abs().max() < 1e-4 * theirs.abs().max()
    # Behind the decoder a rounded bit of an attention mask may move a query.
    for mine, theirs in ((ours.class_logits[-1], classes[-1]), (ours.mask_logits[-1], masks[-1])):
        error = (mine - theirs).abs()[0].flatten(1).amax(1) / theirs.abs().max()
        assert (error < 1e-3).sum() >= 97
        assert error.max() < 1e-1
